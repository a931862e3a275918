"""Measurements of this machine, kept in fbmon's cache folder for later runs."""

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
    """Return the number kept under `name`; the first time, measure and keep it.

    It holds for this machine, this version of torch and, on a CPU, as many cores as this process may use. A number
    that cannot be read is measured, and one that cannot be written is measured again the next time.
    """
    path, key = _place(), _key(name)
    numbers = _read(path)
    if key not in numbers:
        number = measure()
        numbers = {**_read(path), key: number}
        _write(path, numbers)
    return numbers[key]


def highest(name: str, number: float) -> float:
    """Return the highest number ever given under `name`, this one included; keep it as `remembered` does."""
    path, key = _place(), _key(name)
    numbers = _read(path)
    if number > numbers.get(key, float("-inf")):
        numbers[key] = number
        _write(path, numbers)
    return numbers[key]


def _place() -> Path:
    return cache_folder() / "machine.json"


def _key(name: str) -> str:
    return f"{platform.node()}, torch {torch.__version__}, {cores()} cores: {name}"


def _read(path: Path) -> dict[str, float]:
    with suppress(OSError, ValueError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    return {}


def _write(path: Path, numbers: dict[str, float]) -> None:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, msgspec.json.encode(numbers))
