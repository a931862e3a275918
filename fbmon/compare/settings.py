"""The settings of a run, as its recipe's file has them."""

from pathlib import Path
from typing import Any

import tomli

_MAX_BYTES = 64 * 1024  # of a recipe


def read_settings(path: Path) -> dict[str, Any]:
    """Return `section.key` -> value as in the file, whichever version wrote it; empty if it is not a recipe."""
    try:
        with path.open("rb") as file:
            return _flattened("", tomli.loads(file.read(_MAX_BYTES).decode()))
    except (OSError, ValueError, RecursionError):  # not there, not UTF-8, not TOML, nested 500 deep
        return {}


def _flattened(prefix: str, table: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flattened(f"{prefix}{key}.", value) if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def differences(these: dict[str, Any], those: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return by key both values of each setting that differs; a setting that one side lacks is None there."""
    keys = dict.fromkeys([*these, *those])
    return {key: (these.get(key), those.get(key)) for key in keys if these.get(key) != those.get(key)}
