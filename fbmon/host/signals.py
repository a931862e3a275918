"""The meaning of signals to a run, before it has begun and after: the one place where that is decided.

A signal is never lost and never deadly: the first one has the run saved and ended, and those that follow change nothing
of that. Who stops a whole job (a batch system, a service manager, `pkill`) sends one to the client, to the supervisor
and to every rank, all within moments; the client passes its own on as well. So the supervisor and the ranks count none:
whether a SIGINT is a person's second Ctrl-C is for the client alone to say, by the time between those that it gets
itself, and what it then sends to the supervisor is another signal.

This module is imported before all others, so that no signal comes too early: it imports next to nothing itself.
"""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from fbmon.errors import Exit

if TYPE_CHECKING:
    from fbmon.events import Command

# Several of Slurm's may come in turn. While a process starts they are blocked, so that none is lost or deadly before
# its handler stands.
SIGNALS: "dict[signal.Signals, Command]" = {
    signal.SIGINT: "stop",
    signal.SIGTERM: "preempt",
    signal.SIGUSR1: "preempt",
    signal.SIGUSR2: "preempt",
    signal.SIGXCPU: "preempt",  # the soft limit of CPU time, `ulimit -t`; a batch system's for the whole job too
}
AT_ONCE = signal.SIGABRT  # from a client to its supervisor: kill the ranks; nobody sends it to all processes of a job
_BURST_SECONDS = 1.0


class Interrupts:
    """The SIGINTs that a client gets; tells a person's second Ctrl-C from the rest of a burst."""

    def __init__(self) -> None:
        self.count = 0
        self._first = 0.0

    def is_second(self) -> bool:
        """Note one more SIGINT; whether it comes so late after the first that a person must have meant it."""
        now = time.monotonic()
        self._first = self._first if self.count else now
        self.count += 1
        return now - self._first >= _BURST_SECONDS


def exit_code(command: "Command") -> Exit:
    """The exit code of a run that has been asked to end."""
    return Exit.PREEMPTED if command == "preempt" else Exit.STOPPED


def leave_at_signals() -> None:
    """Let a signal, until the handlers of a run stand, end this process with the exit code of a run that it ends."""
    for number in SIGNALS:
        signal.signal(number, _leave)


def restore_defaults(numbers: Iterable[signal.Signals]) -> None:
    """Give signals the effect that they have in any Python program."""
    for number in numbers:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def handlers_restored(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Give signals at the end the handlers that they have now."""
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def signals_held() -> Iterator[None]:
    """Have signals that come within arrive at the end, at the handlers that they have then."""
    held = (*SIGNALS, AT_ONCE)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {number: signal.getsignal(number) for number in held}
    hold(held)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is _hand_to_main:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def hold(numbers: Iterable[signal.Signals]) -> None:
    """Let these signals wait until the main thread, which calls this, has handlers for them and unblocks them.

    To block them is not enough: a library's threads, as those of numpy, do not, and would take them.
    """
    for number in numbers:
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        signal.signal(number, _hand_to_main)


def _hand_to_main(number: int, _frame: FrameType | None) -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def _leave(number: int, _frame: FrameType | None) -> None:
    taken = signal.Signals(number)
    os.write(2, f"fbmon: ended by {taken.name}; no run was in progress\n".encode())
    os._exit(exit_code(SIGNALS[taken]))  # whatever was being imported
