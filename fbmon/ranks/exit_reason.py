"""The reason for which the processes of a training came to an end that none of them has told of."""

import signal
from contextlib import suppress
from dataclasses import dataclass

import psutil

from fbmon.errors import Exit
from fbmon.host.limits import memory
from fbmon.text import gib, signal_name

# How a rank leaves that has done all it was to do; with any other the others wait for it in vain.
ORDINARY = (Exit.FINISHED, Exit.DIVERGED, Exit.STORAGE, Exit.PREEMPTED, Exit.STOPPED)


@dataclass(frozen=True)
class ExitReason:
    """An end and what is known of it; `is_accident`: it need not happen again when the ranks are started once more."""

    reason: str
    exit_code: Exit
    hint: str = ""
    was_killed: bool = True
    is_accident: bool = True


def explain(name: str, code: int) -> ExitReason:
    """Explain the end of a rank that left with this code, negative for a signal."""
    if code < 0:
        hint = f"often because the system ran out of memory{_allowed()}" if -code == signal.SIGKILL else ""
        return ExitReason(f"{name} was killed by {signal_name(-code)}", Exit.LOST, hint)
    reason = f"{name} exited with code {code}; the log may say why"
    is_accident = code not in (*ORDINARY, Exit.USAGE)
    if not is_accident:  # it knew what it did, and has had no room for its last word
        reason = f"{name} exited with code {code}, and its last word could not be written"
    return ExitReason(reason, Exit.LOST if is_accident else Exit(code), was_killed=False, is_accident=is_accident)


def _allowed() -> str:
    """Say how much memory there is where a container or a batch job may use less than the machine has."""
    there = memory()
    return f": {gib(there.total / 2**20)} GiB may be used here" if there.is_limited else ""


def obstacle(process: int) -> str:
    """Return what keeps a process from running, as the kernel has it; empty if nothing does."""
    with suppress(psutil.Error):
        state = psutil.Process(process).status()
        if state in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            return "suspended by a signal"
        if state == psutil.STATUS_DISK_SLEEP:
            return "stuck in a system call"
    return ""
