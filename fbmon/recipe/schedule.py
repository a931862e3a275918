"""The schedules that a recipe may choose, and the learning rate as a pure function of the step."""

import math
from typing import Annotated, Literal, assert_never

from pydantic import Field

from fbmon.recipe.optimizers import AnyOptimizer
from fbmon.recipe.section import NonNegativeFloat, NonNegativeInt, PositiveInt, Section


class Constant(Section):
    """A linear warm-up, then the peak learning rate."""

    name: Literal["constant"]
    """The peak learning rate throughout."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""


# Pairs of steps and a factor.
Stretches = list[Annotated[list[NonNegativeFloat], Field(min_length=2, max_length=2)]]


class Cosine(Section):
    """A linear warm-up, then half a cosine."""

    name: Literal["cosine"]
    """Half a cosine."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""
    horizon: PositiveInt
    """Steps from the end of the warm-up to the end of the cosine."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The end of the cosine, as a share of the peak."""
    stretches: Stretches | None = None
    """Pairs of steps and a factor: after so many steps the schedule goes on as if it took so many times as long;
    `fbmon resume --stretch` adds them.
    """


class MultiStep(Section):
    """A linear warm-up, then the peak with drops at given steps."""

    name: Literal["multistep"]
    """Drops at given steps."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""
    drops: list[PositiveInt]
    """The steps of the drops, counted from the end of the warm-up."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What a drop multiplies the learning rate with."""
    stretches: Stretches | None = None
    """Pairs of steps and a factor: after so many steps the schedule goes on as if it took so many times as long;
    `fbmon resume --stretch` adds them.
    """


class Exponential(Section):
    """A linear warm-up, then a constant decay."""

    name: Literal["exponential"]
    """A constant decay."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.99
    """What every step multiplies the learning rate with."""
    stretches: Stretches | None = None
    """Pairs of steps and a factor: after so many steps the schedule goes on as if it took so many times as long;
    `fbmon resume --stretch` adds them.
    """


AnySchedule = Constant | Cosine | MultiStep | Exponential
Schedule = Annotated[AnySchedule, Field(discriminator="name")]


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
