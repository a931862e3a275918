"""Files of a moment, also where no temporary folder can be used; and what else torch needs of a system."""

import getpass
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from fbmon.host.own_folders import cache_folder, is_writable

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


def with_what_torch_needs(environment: Mapping[str, str], otherwise: Path | None = None) -> dict[str, str]:
    """Return the environment of a process that loads torch.

    With TMPDIR where the system has no temporary folder, and USER where it has no name for the user: torch 2.10 asks
    for both as it is imported, and fails without.
    """
    prepared = dict(environment)
    folders = [folder for folder in (_IN_MEMORY, otherwise, cache_folder()) if folder and is_writable(folder)]
    if not has_temporary_folder() and folders:
        folders[0].mkdir(parents=True, exist_ok=True)
        prepared["TMPDIR"] = str(folders[0])
    if not _has_name():
        prepared["USER"] = str(os.getuid())
    return prepared


def _has_name() -> bool:
    try:
        getpass.getuser()
    except (KeyError, OSError):  # before Python 3.13, and since
        return False
    return True
