"""The judgement of whether the ranks still move, and which one does not: pure, from what `Heartbeat` shows."""

from collections.abc import Sequence

from fbmon.ranks.heartbeat import Doing

LEAST_SECONDS = 60.0  # of silence that is a stall; a machine may be busy for a while
_LONGEST = 10  # times the longest silence so far between two signs that a rank moves on
_FIRST = 30  # times as much for the first block, which compiles and connects, and for a save on a slow disk
_ABSENT_SECONDS = 5.0  # between two looks: the whole job was suspended, and the ranks with it


class StallWatch:
    """Told again and again where the ranks are; times are of a clock that never jumps."""

    def __init__(self, least_seconds: float | None = None) -> None:
        self._least = least_seconds or LEAST_SECONDS
        self._counts: list[int] = []
        self._moved = 0.0
        self._moves = 0
        self._longest = 0.0
        self._looked = 0.0

    def look(self, now: float, slots: Sequence[tuple[int, Doing]]) -> list[int]:
        """The ranks for which all others wait in vain; none as long as there is hope, or before training begins."""
        absent = now - self._looked
        if absent > _ABSENT_SECONDS:
            self._moved += absent  # the time in which nobody could have moved does not count
        self._looked = now
        counts = [count for count, _ in slots]
        if counts != self._counts:
            if self._moves > 1:
                self._longest = max(self._longest, now - self._moved)
            self._counts, self._moved, self._moves = counts, now, self._moves + 1
        if not any(counts) or now - self._moved <= self._limit(slots):
            return []
        behind = [rank for rank, (_, doing) in enumerate(slots) if doing != Doing.WAITING]
        return behind or list(range(len(slots)))

    def silent_for(self, now: float) -> float:
        """Seconds since a rank has last moved on."""
        return now - self._moved

    def _limit(self, slots: Sequence[tuple[int, Doing]]) -> float:
        limit = max(self._least, _LONGEST * self._longest)
        is_slow = self._moves <= 2 or any(doing in (Doing.AWAY, Doing.PREPARING) for _, doing in slots)
        return _FIRST * limit if is_slow else limit
