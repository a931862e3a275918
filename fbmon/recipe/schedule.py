"""The learning rate as a pure function of the step."""

import math
from typing import assert_never

from fbmon.recipe import AnyOptimizer, AnySchedule, Constant, Cosine, Exponential, MultiStep


def learning_rate(step: int, schedule: AnySchedule, optimizer: AnyOptimizer) -> float:
    """Return the learning rate of update `step`, counted from 0 (the paper's code and configuration, section 1.1).

    During the warm-up lr * step / warmup, so update 0 moves nothing; update warmup + 1 has lr again, and the
    rest of the schedule counts from there. Without a warm-up, update 0 has lr. A schedule that was stretched after so
    many updates goes on as one that takes the factor as many updates.
    """
    if step <= schedule.warmup and schedule.warmup > 0:
        return optimizer.lr * step / schedule.warmup
    since = step - schedule.warmup - 1 if schedule.warmup > 0 else step
    return optimizer.lr * _after_warmup(
        since / factor if (factor := _stretch(step, schedule)) != 1 else since, schedule
    )


def _stretch(step: int, schedule: AnySchedule) -> float:
    """Return the factor of the last stretch before an update; 1 if there is none."""
    stretches = None if isinstance(schedule, Constant) else schedule.stretches
    return next((factor for updates, factor in reversed(stretches or []) if step >= updates), 1)


def _after_warmup(since: float, schedule: AnySchedule) -> float:
    match schedule:
        case Constant():
            return 1.0
        case Cosine(horizon=horizon, floor=floor):
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(since, horizon) / horizon))
        case MultiStep(drops=drops, factor=factor):
            return factor ** sum(since >= drop for drop in drops)
        case Exponential(factor=factor):
            return float(factor**since)
        case _:
            assert_never(schedule)
