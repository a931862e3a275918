"""The learning rate as a pure function of the step."""

import math
from typing import assert_never

from fbmon.recipe import Constant, Cosine


def learning_rate(step: int, schedule: Constant | Cosine, peak: float) -> float:
    """The learning rate of update `step`, counted from 0 (paper's code, scheduler; section 1.1 of its configuration).

    During the warm-up peak * step / warmup, so update 0 moves nothing; update warmup + 1 has the peak again and begins
    the cosine, which reaches zero `horizon` updates later. Without a warm-up, update 0 has the peak.
    """
    if step <= schedule.warmup and schedule.warmup > 0:
        return peak * step / schedule.warmup
    since = step - schedule.warmup - 1 if schedule.warmup > 0 else step
    match schedule:
        case Constant():
            return peak
        case Cosine(horizon=horizon):
            return peak * 0.5 * (1 + math.cos(math.pi * min(since, horizon) / horizon))
        case _:
            assert_never(schedule)
