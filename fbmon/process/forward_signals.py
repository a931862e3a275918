"""Signals on their way to rank 0: held back while there is none, so that none is lost or deadly."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fbmon.host.signals import AT_ONCE, SIGNALS
from fbmon.process.rank_processes import RankProcesses

_HEARD = (*SIGNALS, AT_ONCE)


class Signals:
    """Passes them on, however often each comes. They come in blocked, and are blocked outside `heard`."""

    def __init__(self, ranks: RankProcesses) -> None:
        self.taken: list[int] = []
        self.hurried = False
        self._ranks = ranks
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        signal.signal(AT_ONCE, self._hurry)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Pass signals on to the ranks, those too that came before it was there."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        yield
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.taken.append(number)
        self._ranks.first.send_signal(number)

    def _hurry(self, number: int, _frame: FrameType | None) -> None:
        self.taken.append(number)
        self.hurried = True
        self._ranks.kill()
