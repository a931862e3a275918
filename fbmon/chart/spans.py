"""Ticks of a time axis: whole seconds, minutes, hours and days, as a span since a beginning or as a time of day."""

import math
import time
from typing import Literal

from fbmon.chart.axes import Axis
from fbmon.chart.ticks import Fitting, Tick, fitted, ticks

MINUTE, HOUR, DAY = 60, 3600, 86400
_STEPS = (
    1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY, 100 * DAY, 365 * DAY,
)  # fmt: skip


def time_ticks(axis: Axis, apart: float, unit: Literal["span", "clock"], fitting: Fitting = list) -> list[Tick]:
    """Return ticks as `ticks` does; a clock is that of this machine."""
    least = (axis.high - axis.low) * min(apart, 0.5)
    index = next((index for index, step in enumerate(_STEPS) if step >= least), None)
    if least < 1 / 2 or index is None or not abs(axis.high) < 1e11:  # a stopwatch, or no time at all
        return ticks(axis, apart, fitting) if unit == "span" else []
    finer = _STEPS[max(0, index - 3) : index + 1][::-1]
    return fitted((_every(step, axis, unit) for step in finer), fitting)


def _every(step: int, axis: Axis, unit: Literal["span", "clock"]) -> list[Tick]:
    east = time.localtime(axis.low).tm_gmtoff if unit == "clock" else 0
    first, last = math.ceil((axis.low + east) / step), math.floor((axis.high + east) / step)
    label = _clock if unit == "clock" else _span
    return [Tick(count * step - east, label(count * step, step)) for count in range(first, last + 1)]


def _span(seconds: int, step: int) -> str:
    """Return `3d`, `5h`, `1h30` or `20m`, `1:30` or `1:00:30`, by the unit of the step."""
    minutes, hours = seconds // MINUTE, seconds // HOUR
    if seconds == 0 or step >= DAY:
        return f"{seconds // DAY}d" if seconds else "0"
    if step >= HOUR:
        return f"{hours}h"
    if step >= MINUTE:
        return f"{hours}h{minutes % 60:02d}" if hours else f"{minutes}m"
    return f"{hours}:{minutes % 60:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"


def _clock(seconds: int, step: int) -> str:
    """Return seconds since 1970 as local time."""
    there = time.gmtime(seconds)
    if step >= DAY or (there.tm_hour, there.tm_min, there.tm_sec) == (0, 0, 0):
        return time.strftime("%d %b", there)
    return time.strftime("%H:%M" if step >= MINUTE else "%H:%M:%S", there)
