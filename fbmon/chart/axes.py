"""An axis: the stretch of numbers it shows, and where on it a number stands."""

from dataclasses import dataclass

import numpy as np

from fbmon.metrics import Scale
from fbmon.store.series import Floats

LARGEST = 1e300  # values beyond are drawn here, so that the difference of two values is always finite
FARTHEST = 1e9  # how many axis lengths away a value is told from one still farther away
LOGARITHM_DECIMALS = 12
ROUNDING = 1e-12  # an accuracy of 1, as the last bits of a mean have it
PADDING = 0.04  # of the length of the data, at either end
CONSTANT_PADDING = {"linear": 0.1, "log": 0.15}  # of the value; decades


@dataclass(frozen=True)
class Axis:
    """The stretch [low, high], low < high, in axis units: values if linear, their log10 if logarithmic."""

    low: float
    high: float
    scale: Scale = "linear"

    def place(self, units: Floats) -> Floats:
        """Return the fraction of the axis at which axis units stand: 0 is `low`, 1 is `high`, NaN is unknown."""
        with np.errstate(over="ignore"):
            return np.clip((units - self.low) / (self.high - self.low), -FARTHEST, FARTHEST)


def to_units(values: Floats, scale: Scale) -> Floats:
    """Return values in axis units; NaN where the value is unknown or has no logarithm.

    A logarithm's last bit depends on the processor, and is rounded away.
    """
    if scale == "linear":
        return np.clip(values, -LARGEST, LARGEST)
    units = np.full(len(values), np.nan)
    np.log10(values, out=units, where=values > 0)
    return np.round(units, LOGARITHM_DECIMALS)


def fit(low: float, high: float, scale: Scale) -> Axis:
    """Return the axis for [low, high] (axis units) with some padding; not past 0 and 1 where these are bounds."""
    padding = PADDING * (high - low) if _distinct(low, high) else _constant_padding(low, scale)
    lower, upper = low - padding, high + padding
    if scale == "linear" and low >= 0:
        lower = max(lower, 0.0)  # most metrics cannot be negative
        upper = min(upper, 1.0) if high <= 1 + ROUNDING else upper  # and an accuracy ends at 1
    return Axis(lower, upper, scale)


def exactly(low: float, high: float, scale: Scale) -> Axis:
    """Return the axis that shows [low, high] (axis units) and nothing else; a single number is in the middle."""
    if _distinct(low, high):
        return Axis(low, high, scale)
    padding = _constant_padding(low, scale)
    return Axis(low - padding, low + padding, scale)


def _distinct(low: float, high: float) -> bool:
    """Say whether float64 has room for pixels between the two: a shorter range is drawn as a constant."""
    return high - low > max(1e-12 * max(abs(low), abs(high)), 1e-290)


def _constant_padding(value: float, scale: Scale) -> float:
    padding = CONSTANT_PADDING[scale]
    if scale == "log":
        return padding
    return padding * abs(value) if abs(value) > 1e-289 else 1.0
