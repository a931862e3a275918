"""What the user wants of a running trainer: signals and the inbox."""

import signal
import time
from types import FrameType

from fbmon.events import CommandTaken
from fbmon.folder import SIGNALS, RunFolder

_INBOX_SECONDS = 0.1


class Orders:
    """What the user wants of the trainer: signals, and a folder's inbox, as one question asked at every block."""

    def __init__(self, folder: RunFolder | None) -> None:
        self._folder = folder
        self._signalled: CommandTaken | None = None
        self._look_again = 0.0
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def next(self) -> CommandTaken | None:
        """The next command, or None."""
        taken = self._signalled or self._look_into_inbox()
        self._signalled = None
        return taken

    def _look_into_inbox(self) -> CommandTaken | None:
        now = time.monotonic()
        if self._folder is None or now < self._look_again:
            return None
        self._look_again = now + _INBOX_SECONDS
        asked = self._folder.take()
        return CommandTaken(asked.command, asked.source) if asked else None

    def _note(self, number: int, _frame: FrameType | None) -> None:
        taken = signal.Signals(number)
        self._signalled = CommandTaken(SIGNALS[taken], taken.name)
