"""The curve of the clipped share: of the last steps, those that were clipped."""

from collections import deque
from collections.abc import Iterable, Sequence, Set

SHARE_STEPS = 50  # the window


class ClippedWindow:
    """The last SHARE_STEPS steps, and which of them were clipped."""

    def __init__(self) -> None:
        self._clipped: set[int] = set()  # steps, among them some that are yet to be taken
        self._recent: deque[bool] = deque(maxlen=SHARE_STEPS)
        self._count = 0  # how many of the recent ones were clipped

    def clip(self, steps: Iterable[int]) -> None:
        """Hear that these steps, which are yet to be taken, are clipped."""
        self._clipped.update(steps)

    def take(self, steps: Sequence[int]) -> list[float]:
        """Return the share after each of the next steps."""
        shares = []
        clipped, recent, count = self._clipped, self._recent, self._count
        for step in steps:
            is_clipped = step in clipped
            count += is_clipped - (len(recent) == SHARE_STEPS and recent[0])
            recent.append(is_clipped)
            shares.append(count / len(recent))
        self._count = count
        if len(clipped) > 2 * SHARE_STEPS:  # seldom, as to look at all of them takes a while
            self._clipped = {step for step in clipped if step > steps[-1] - SHARE_STEPS}
        return shares

    def restored(self, step: int, clipped: Set[int]) -> None:
        """Go back to the end of this step, up to which these were clipped."""
        first = max(1, step - SHARE_STEPS + 1)
        self._recent = deque((before in clipped for before in range(first, step + 1)), maxlen=SHARE_STEPS)
        self._count, self._clipped = self._recent.count(True), set()
