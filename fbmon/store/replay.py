"""Steps that a resumed run takes once more: whether their numbers are those that were told before."""

import math
from collections.abc import Mapping

from fbmon.events import Analysed, StepTaken, Validated

# The update, the validation and the analysis; if these are the same bits, so is all else but the clock.
COMPARED = ("loss", "grad_norm", "val_loss", "sharpness")


class Replay:
    """The values of steps that are to be taken again."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], float] = {}

    def remember(self, name: str, points: Mapping[int, float]) -> None:
        """The values of a metric by step; those of an earlier attempt stay where this one has none."""
        if name in COMPARED:
            self._before.update({(name, step): value for step, value in points.items()})

    def difference(self, event: StepTaken | Validated | Analysed) -> str:
        """Return what is not as it was told before; empty if all is, or if the step is a new one."""
        for name in COMPARED if self._before else ():
            if name not in event.values:  # a step is told by several events: what another of them tells is left to it
                continue
            before, now = self._before.pop((name, event.step), None), event.values[name]
            if before is None or _same(before, now):
                continue
            return f"not reproducible: {name} of step {event.step} was {before!r} and is now {now!r}"
        return ""


def _same(before: float, now: float | None) -> bool:
    return math.isnan(before) if now is None else before == now
