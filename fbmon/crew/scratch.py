"""Files of a moment, also where no temporary folder can be used."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from fbmon.crew.own_folders import cache_folder, is_writable

_IN_MEMORY = Path("/dev/shm")


def nameless_file() -> BinaryIO:
    """Return a new file without a name; on Linux it lies in memory, and needs no folder."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("fbmon"), "w+b")
    return tempfile.TemporaryFile()


def folder_of_a_moment(otherwise: Path) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder; where the system has none to be used, one in the folder `otherwise`."""
    try:
        return tempfile.TemporaryDirectory()
    except OSError:
        return tempfile.TemporaryDirectory(prefix=".scratch-", dir=otherwise)


def has_temporary_folder() -> bool:
    """Say whether the system has a temporary folder that can be used, as torch needs one to be imported."""
    try:
        tempfile.gettempdir()
    except OSError:
        return False
    return True


def with_temporary_folder(environment: Mapping[str, str], otherwise: Path | None = None) -> dict[str, str]:
    """Return the environment of a process that loads torch, with TMPDIR where the system has no folder for it."""
    folders = [folder for folder in (_IN_MEMORY, otherwise, cache_folder()) if folder and is_writable(folder)]
    if has_temporary_folder() or not folders:
        return dict(environment)
    folders[0].mkdir(parents=True, exist_ok=True)
    return {**environment, "TMPDIR": str(folders[0])}
