"""The errors fbmon can explain; the command line prints them, and nothing else does.

FbmonError            something went wrong that the user can read about (exit code 1)
├── UsageError        a wrong option, run or device (2)
│   ├── RecipeError   a faulty recipe; one line per fault (2)
│   └── HeldError     a run that another process trains, or may (2)
├── DataError         a data set is missing or damaged (1)
├── NonFiniteError    a loss or gradient that is not a number (3)
├── DivergenceError   a loss far above its start for many steps, where the recipe stops by that (3)
├── RankLostError     another process of the training is gone (4)
│   └── StallError    another process of the training answers no more (5)
├── ReplicaError      the processes of the training no longer have the same weights (1)
└── StorageError      the last state could not be saved (6)
"""

import errno
import traceback
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """The codes by which a finished `fbmon` tells the shell, Slurm and scripts how it went."""

    FINISHED = 0
    FAILED = 1
    USAGE = 2
    DIVERGED = 3
    LOST = 4
    STALLED = 5
    STORAGE = 6
    PREEMPTED = 75
    STOPPED = 130


def is_interruption(exit_code: int) -> bool:
    """Say whether a run with this exit code was ended as somebody asked, and is saved."""
    return exit_code in (Exit.PREEMPTED, Exit.STOPPED)


class FbmonError(Exception):
    """One sentence about what is wrong, and where possible one about what to do."""

    exit_code = Exit.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(hint)  # for Python programs, whose users see it below the error


class UsageError(FbmonError):
    """The command cannot be carried out as it was given."""

    exit_code = Exit.USAGE


class RecipeError(UsageError):
    """A recipe that cannot be run; the message holds one line per fault."""


class HeldError(UsageError):
    """A run that another process trains, or may, as far as can be told from here."""


class DataError(FbmonError):
    """A data set that is not there, or not what it should be."""


class NonFiniteError(FbmonError):
    """A loss or a gradient that is infinite or not a number; the weights are those of the last good step."""

    exit_code = Exit.DIVERGED


class DivergenceError(FbmonError):
    """A loss that has been far above its start for many steps, in a run that is to stop by it."""

    exit_code = Exit.DIVERGED


class RankLostError(FbmonError):
    """An exchange with the other ranks has failed: one of them is gone."""

    exit_code = Exit.LOST


class StallError(RankLostError):
    """A silence of the other ranks that lasts for too long."""

    exit_code = Exit.STALLED


class ReplicaError(FbmonError):
    """The ranks no longer have the same weights: a device computes wrongly, or they are not equal devices."""


class StorageError(FbmonError):
    """The last state of a run could not be written."""

    exit_code = Exit.STORAGE


_ADVICE = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room: the quota of this user is used up",
    errno.EIO: "the disk may be failing; the system log says more",
    errno.EMFILE: "`ulimit -n` says how many files a process may have open",
    errno.EAGAIN: "`ulimit -u` says how many processes a user may have",
    errno.ENOMEM: "the system is out of memory",
    errno.E2BIG: "the environment variables of this shell are too large",
}


def of_system(error: OSError, deed: str = "") -> FbmonError:
    """Say what the system has refused: which file, or in which deed, or else where in this program."""
    where = error.filename or deed or _place(error)
    return FbmonError(f"{where}: {error.strerror or error}", _ADVICE.get(error.errno or 0, ""))


def _place(error: OSError) -> str:
    """The innermost line of this program that an error has come through."""
    here = Path(__file__).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(here)]
    if not frames:
        return "a system call"
    frame = frames[-1]
    return f"{Path(frame.filename).relative_to(here.parent)}, line {frame.lineno}, {frame.line}"
