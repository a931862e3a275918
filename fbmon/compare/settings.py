"""The settings of runs, and those in which they differ."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli

if TYPE_CHECKING:
    from fbmon.compare.run import Run

_MAX_BYTES = 64 * 1024  # of a recipe
_SEVERAL = 3  # runs: of two the one stands against the other, and neither is odd
# What every run has of its own and what is reported elsewhere: shown beside the results, not as a setting.
_NOT_SETTINGS = ("name", "target.val_accuracy", "target.source")


def read_settings(path: Path) -> dict[str, Any]:
    """`section.key` -> value as the file has it, whichever version wrote it; nothing from one that is no recipe."""
    try:
        with path.open("rb") as file:
            table = tomli.loads(file.read(_MAX_BYTES).decode())
    except (OSError, ValueError, RecursionError):  # not there, not UTF-8, not TOML, nested 500 deep
        return {}
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": setting for inner, setting in value.items()}
        else:
            flat[key] = value
    return flat


def differences(these: dict[str, Any], those: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By key, both values of each setting that is not the same; a setting that one has not is None there."""
    keys = dict.fromkeys([*these, *those])
    return {key: (these.get(key), those.get(key)) for key in keys if these.get(key) != those.get(key)}


def differing(runs: "Collection[Run]", *, with_odd: bool = True) -> list[str]:
    """The settings that are not the same in all runs; a run whose recipe cannot be read does not count.

    `with_odd` False leaves out those that a single one of several runs has at all, as a section no other has.
    """
    known = [run.settings for run in runs if run.settings]
    keys = dict.fromkeys(key for settings in known for key in settings if key not in _NOT_SETTINGS)
    found = [key for key in keys if any(settings.get(key) != known[0].get(key) for settings in known)]
    if with_odd or len(known) < _SEVERAL:
        return found
    return [key for key in found if sum(key in settings for settings in known) > 1]
