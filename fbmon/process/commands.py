"""Commands to a running trainer: signals and the inbox."""

import signal
import time
from collections import deque
from types import FrameType

from fbmon.events import CommandTaken
from fbmon.host.signals import AT_ONCE, SIGNALS, Interrupts
from fbmon.run import RunFolder

_INBOX_SECONDS = 0.1


class Signalled(Exception):  # noqa: N818 - a wish, not an error
    """A signal asks for the end of a run whose training has not begun."""

    def __init__(self, command: CommandTaken) -> None:
        super().__init__(command)
        self.command = command


class Commands:
    """Commands to the trainer: signals, and a folder's inbox, as one question asked at every block."""

    def __init__(self, folder: RunFolder | None) -> None:
        self._folder = folder
        # A queue, which loses none that comes while it is looked into.
        self._signalled: deque[CommandTaken] = deque()
        self._interrupts = Interrupts()
        self._look_again = 0.0
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(AT_ONCE, signal.SIG_DFL)
        for number in SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*SIGNALS, AT_ONCE))

    def next(self) -> CommandTaken | None:
        """Return the next command, or None."""
        return self._signalled.popleft() if self._signalled else self._look_into_inbox()

    def heed_signals(self) -> None:
        """Raise Signalled if there has been one: before training there is nothing to save, and nobody to agree with."""
        if self._signalled:
            raise Signalled(self._signalled[0])

    def _look_into_inbox(self) -> CommandTaken | None:
        now = time.monotonic()
        if self._folder is None or now < self._look_again:
            return None
        self._look_again = now + _INBOX_SECONDS
        return self._folder.take()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        taken = signal.Signals(number)
        if taken == signal.SIGINT and not self._interrupts.is_second() and self._interrupts.count > 1:
            return  # one more of a burst
        self._signalled.append(CommandTaken(SIGNALS[taken], taken.name))
