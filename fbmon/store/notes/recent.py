"""The level at which a number has been of late."""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

WINDOW = 50  # steps
LEAST = 10  # numbers without which there is no level yet


@dataclass
class Recent:
    """The median of the last WINDOW numbers; each costs a bisection."""

    _queue: deque[float] = field(default_factory=deque)
    _sorted: list[float] = field(default_factory=list)

    def push(self, value: float) -> None:
        if len(self._queue) == WINDOW:
            del self._sorted[bisect_left(self._sorted, self._queue.popleft())]
        self._queue.append(value)
        insort(self._sorted, value)

    def level(self) -> float | None:
        """The median of the last numbers; None while they are too few to speak of a level."""
        return self._sorted[len(self._sorted) // 2] if len(self._sorted) >= LEAST else None
