"""The time that the rest of a run will take: its steps at the pace of the last ones, and its validations."""

import math
from collections import deque
from itertools import pairwise
from statistics import fmean, stdev

from fbmon.events import Event, StateRestored, StepTaken, Validated

_STEPS, _VALIDATIONS = 50, 5  # the last ones, of which the means are taken


class Pace:
    """Times steps and validations apart: one validation may take as long as many steps, and comes as seldom."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float]] = deque(maxlen=_STEPS)  # and the end of each, without all rests
        self._validations: deque[float] = deque(maxlen=_VALIDATIONS)  # seconds
        self._rested = 0.0
        self._end = 0.0  # elapsed, of the newest step, validation or pause
        self._validated = 0  # the newest step that was

    def hear(self, event: Event, rested: float, validation_every: int) -> None:
        """Time the next event, at which a pause of so many seconds may have come to its end."""
        if rested:
            self._rest(rested)
        match event:
            case StepTaken():
                self._add_step(event)
            case Validated() if validation_every:  # where none is foreseen, their time counts as that of the steps
                self._add_validation(event)
            case StateRestored(step=step):
                self._restored(step)
            case _:
                pass  # no time of training

    def _add_step(self, event: StepTaken) -> None:
        self._steps.append((event.step, event.elapsed - self._rested))
        self._end = event.elapsed

    def _add_validation(self, event: Validated) -> None:
        if self._steps and self._steps[-1][0] == event.step:
            self._validations.append(event.elapsed - self._end)
            self._rest(self._validations[-1])
        self._validated = event.step

    def _rest(self, seconds: float) -> None:
        """Leave out seconds that passed without training: they are no measure of the steps to come."""
        self._rested += seconds
        self._end += seconds

    def _restored(self, step: int) -> None:
        """Forget what was before the run went back to this step: the machine may be another."""
        self._steps.clear()
        self._validations.clear()
        self._validated = step

    def seconds_left(self, steps: int, validation_every: int, now: float | None = None) -> float | None:
        """Return the seconds to the end of `steps`, from the newest step or validation, or `now`; None without a pace.

        A step that takes longer than the others is over in the next moment, for all that is known.
        """
        if len(self._steps) < 2:
            return None
        (first, began), (last, ended) = self._steps[0], self._steps[-1]
        a_step = (ended - began) / (last - first)
        a_validation = fmean(self._validations) if self._validations else 0.0
        left = a_step * (steps - last) + a_validation * self._validations_left(steps, validation_every)
        return left - min(max(now - self._end, 0.0), a_step, left) if now is not None else left

    def deviation(self, steps: int) -> float | None:
        """The standard deviation of `seconds_left`, were the steps to come as uneven as the last; None below 3."""
        if len(self._steps) < 4:
            return None
        paces = [(then - now) / (after - before) for (before, now), (after, then) in pairwise(self._steps)]
        left = steps - self._steps[-1][0]
        # Of the sum of the steps to come, and of the mean that stands for each of them.
        return stdev(paces) * math.sqrt(left + left**2 / len(paces))

    def _validations_left(self, steps: int, every: int) -> int:
        """Count the validations to come: after the first step, then every so many, and after the last."""
        if not every:
            return 0
        return (steps - 1) // every - (self._validated - 1) // every + ((steps - 1) % every > 0)
