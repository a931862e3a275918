"""The course of a curve in each pixel column: its minimum and maximum, and where its line enters and leaves.

Nothing here reads all points: a column is two bisections and one question to the series' pyramid.
"""

from typing import NamedTuple

import numpy as np

from fbmon.chart.axes import Axis, to_units
from fbmon.chart.plot import Curve
from fbmon.metrics import Scale
from fbmon.store.series import Floats, Indices, Series

STRETCHES = 64  # what is looked at together when all points in sight are asked for their extent


class DotTrace(NamedTuple):
    """A curve in axis units: the lowest and highest point of each column, and its line at each edge; NaN is nothing."""

    low: Floats
    high: Floats
    line: Floats

    def reach(self) -> tuple[float, float]:
        """Return minimum and maximum of all that is in sight; NaN if that is nothing."""
        return float(np.fmin.reduce([*self.low, *self.line])), float(np.fmax.reduce([*self.high, *self.line]))


def trace(x: Floats, series: Series, at: Floats, scale: Scale) -> DotTrace:
    """DotTrace a curve through the columns between the edges `at`."""
    index = borders(x, at)
    low, high = extent(series, index[:-1], index[1:], scale)
    return DotTrace(low, high, crossings(x, series, at, scale))


def edges(axis: Axis, columns: int) -> Floats:
    """Return the columns + 1 borders of the pixel columns; the outer columns are centred on the ends of the axis."""
    between = axis.low + (np.arange(1, columns) - 0.5) / (columns - 1) * (axis.high - axis.low)
    return np.concatenate(([axis.low], between, [axis.high]))


def borders(x: Floats, at: Floats) -> Indices:
    """Return for each edge the first point not left of it; the last edge includes the points that stand on it."""
    indices = np.searchsorted(x, at)
    indices[-1] = np.searchsorted(x, at[-1], side="right")
    return indices


def extent(series: Series, start: Indices, stop: Indices, scale: Scale) -> tuple[Floats, Floats]:
    """Return minimum and maximum at [start[i], stop[i]) in axis units, of the values that the scale can show."""
    low, high = series.extent(start, stop)
    if scale == "log":
        mixed = (low <= 0) & (high > 0)
        if mixed.any():  # the pyramid knows only the minimum of all values: here the points themselves are read
            low[mixed] = _least_positive(series.values, start[mixed], stop[mixed])
    return to_units(low, scale), to_units(high, scale)


def crossings(x: Floats, series: Series, at: Floats, scale: Scale) -> Floats:
    """Return the height, in axis units, at which the line between two points crosses `at`; NaN without a line."""
    height = np.full(len(at), np.nan)
    right = np.searchsorted(x, at)
    joined = np.flatnonzero((right > 0) & (right < len(x)))
    right = right[joined]
    before, after = x[right - 1], x[right]
    share = (at[joined] - before) / (after - before)
    start, end = to_units(series.values[right - 1], scale), to_units(series.values[right], scale)
    height[joined] = (1 - share) * start + share * end
    return height


def in_sight(curve: Curve, horizontal: Axis, scale: Scale) -> int:
    """Count the points of the curve that are drawn: those between the ends of the axis that have a height."""
    start, stop = borders(curve.x, np.array([horizontal.low, horizontal.high]))
    unknown = np.diff(np.searchsorted(curve.series.unknown(), [start, stop]))[0]
    without_logarithm = 0
    if scale == "log" and curve.series.extent(np.array([start]), np.array([stop]))[0][0] <= 0:
        without_logarithm = int((curve.series.values[start:stop] <= 0).sum())
    return int(stop - start - unknown) - without_logarithm


def value_at(x: Floats, series: Series, at: float) -> float | None:
    """Return the value of the last point that is not right of `at`; None if there is none or it is unknown."""
    index = int(np.searchsorted(x, at, side="right")) - 1
    return None if index < 0 or np.isnan(series.values[index]) else float(series.values[index])


def last_known(series: Series) -> float | None:
    """Return the newest known value; each look narrows the search to one stretch of the one before."""
    if (newest := series.last()) is not None:
        return newest
    start, stop = 0, len(series)
    while stop - start > 1:
        stretches = np.unique(np.linspace(start, stop, STRETCHES + 1).astype(np.intp))
        with_value = np.flatnonzero(~np.isnan(series.extent(stretches[:-1], stretches[1:])[0]))
        if not len(with_value):
            return None
        start, stop = int(stretches[with_value[-1]]), int(stretches[with_value[-1] + 1])
    return None if stop == start or np.isnan(series.values[start]) else float(series.values[start])


def _least_positive(values: Floats, start: Indices, stop: Indices) -> Floats:
    """Return the smallest positive value at each [start[i], stop[i]); each must hold one."""
    lengths = stop - start
    first = np.cumsum(lengths) - lengths
    points = values[np.arange(lengths.sum()) + np.repeat(start - first, lengths)]
    return np.asarray(np.minimum.reduceat(np.where(points > 0, points, np.inf), first))
