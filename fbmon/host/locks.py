"""Locks of files: whether one is held, and whether they guard anything where the file lies."""

import fcntl
from enum import Enum
from pathlib import Path
from typing import IO


class Lock(Enum):
    """The answer of a file system that was asked for a lock."""

    HELD = "held"
    FREE = "free"
    MISSING = "missing"  # there is no such file
    REFUSED = "refused"  # the file system knows no locks, or does not answer


def probe(path: Path) -> Lock:
    """Ask for the lock of a file, and give it back at once."""
    try:
        with path.open("rb") as file:
            return try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return Lock.MISSING
    except OSError:
        return Lock.REFUSED


def try_lock(file: int | IO[bytes], kind: int = fcntl.LOCK_EX) -> Lock:
    """Take the lock of an open file for as long as it stays open; FREE if it is taken now, else who or what forbids."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.HELD
    except OSError:
        return Lock.REFUSED
    return Lock.FREE


def refusal(path: Path) -> str:
    """Say why locks of this file guard nothing, not even on this host; empty where they do."""
    try:
        with path.open("r+b") as first, path.open("r+b") as second:
            fcntl.flock(first, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if try_lock(second) is Lock.HELD:
                return ""
            return "a locked file can be locked a second time"
    except BlockingIOError:  # somebody has it, as nobody else can
        return ""
    except OSError as error:
        return error.strerror or str(error)
