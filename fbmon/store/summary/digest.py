"""The memory of one metric: its last value, its lowest and highest and their steps, its last window."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import cast

import msgspec

RECENT = 10  # values in the last window


class Digest(msgspec.Struct, frozen=True, array_like=True):
    """A metric over a run; unknown values are left out, but the final one is None if it is unknown."""

    final: float | None
    lowest: float | None
    lowest_step: int  # the first to have it
    highest: float | None
    highest_step: int
    recent: tuple[tuple[int, float], ...]  # up to RECENT steps and values, the newest last

    def window_mean(self) -> float | None:
        """The mean of the last window."""
        return math.fsum(value for _, value in self.recent) / len(self.recent) if self.recent else None


def digest(steps: Sequence[int], values: Sequence[float | None]) -> Digest:
    """The digest of a metric told at these steps; at least one."""
    numbers = cast(Sequence[float], values) if None not in values else [v for v in values if v is not None]
    if not numbers:
        return Digest(None, None, 0, None, 0, ())
    lowest, highest = min(numbers), max(numbers)
    newest = ((step, value) for step, value in zip(reversed(steps), reversed(values), strict=True) if value is not None)
    return Digest(
        final=values[-1],
        lowest=lowest,
        lowest_step=steps[values.index(lowest)],
        highest=highest,
        highest_step=steps[values.index(highest)],
        recent=tuple(islice(newest, RECENT))[::-1],
    )


def join(before: Digest, after: Digest) -> Digest:
    """The digest of two stretches, one after the other."""
    is_lower = before.lowest is None or (after.lowest is not None and after.lowest < before.lowest)
    is_higher = before.highest is None or (after.highest is not None and after.highest > before.highest)
    low, high = (after if is_lower else before), (after if is_higher else before)
    first = after.recent[0][0] if after.recent else math.inf
    kept = tuple(point for point in before.recent if point[0] < first)  # after a resume steps are told again
    return Digest(
        final=after.final,
        lowest=low.lowest,
        lowest_step=low.lowest_step,
        highest=high.highest,
        highest_step=high.highest_step,
        recent=(kept + after.recent)[-RECENT:],
    )
