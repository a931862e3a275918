"""The measurements of this machine that are kept in fbmon's cache folder for the runs that come."""

import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import torch

from fbmon.host.disk import replace
from fbmon.host.limits import cores
from fbmon.host.own_folders import cache_folder


def remembered(name: str, measure: Callable[[], float]) -> float:
    """The number kept under `name`, or, the first time, what `measure` gives, which is kept then.

    It holds for this machine, this version of torch and, on a CPU, as many cores as this process may use. What cannot
    be read is measured, and what cannot be written is measured again the next time.
    """
    path, key = _place(), _key(name)
    known = _read(path)
    if key not in known:
        number = measure()
        known = {**_read(path), key: number}
        _write(path, known)
    return known[key]


def highest(name: str, number: float) -> float:
    """The highest number that was ever given under `name`, this one included; it is kept as `remembered` keeps."""
    path, key = _place(), _key(name)
    known = _read(path)
    if number > known.get(key, float("-inf")):
        known[key] = number
        _write(path, known)
    return known[key]


def _place() -> Path:
    return cache_folder() / "machine.json"


def _key(name: str) -> str:
    return f"{platform.node()}, torch {torch.__version__}, {cores()} cores: {name}"


def _read(path: Path) -> dict[str, float]:
    with suppress(OSError, ValueError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    return {}


def _write(path: Path, known: dict[str, float]) -> None:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, msgspec.json.encode(known))
