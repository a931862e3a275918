"""Signals on their way to rank 0: held back while there is none, so that none is lost or deadly."""

import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType

from fbmon.crew.processes import Crew


class Signals:
    """Passes them on; a second SIGINT ends all ranks at once. They come in blocked, and are blocked outside `heard`."""

    def __init__(self, crew: Crew, numbers: Collection[signal.Signals]) -> None:
        self.taken: list[int] = []
        self.hurried = False
        self._crew = crew
        self._numbers = numbers
        for number in numbers:
            signal.signal(number, self._take)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within it the crew is there to hear them, those too that came in between."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)
        yield
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.taken.append(number)
        if self.taken.count(signal.SIGINT) > 1:
            self.hurried = True
            self._crew.kill()
        else:
            self._crew.first.send_signal(number)
