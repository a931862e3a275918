"""What a curve does in each pixel column: its minimum and maximum, and where its line enters and leaves.

Nothing here reads all points: a column is two bisections and one question to the series' pyramid.
"""

import numpy as np

from fbmon.chart.axes import Axis, to_units
from fbmon.metrics import Scale
from fbmon.series import Floats, Indices, Series

STRETCHES = 64  # what is looked at together when all points in sight are asked for their extent


def edges(axis: Axis, columns: int) -> Floats:
    """The columns + 1 borders of the pixel columns; the outer columns are centred on the ends of the axis."""
    between = axis.low + (np.arange(1, columns) - 0.5) / (columns - 1) * (axis.high - axis.low)
    return np.concatenate(([axis.low], between, [axis.high]))


def borders(x: Floats, at: Floats) -> Indices:
    """For each edge the first point not left of it; the last edge takes in the points that stand on it."""
    found = np.searchsorted(x, at)
    found[-1] = np.searchsorted(x, at[-1], side="right")
    return found


def extent(series: Series, start: Indices, stop: Indices, scale: Scale) -> tuple[Floats, Floats]:
    """Minimum and maximum at [start[i], stop[i]) in axis units, of the values that the scale can show."""
    low, high = series.extent(start, stop)
    if scale == "log":
        mixed = (low <= 0) & (high > 0)
        if mixed.any():  # the pyramid knows only the minimum of all values: here the points themselves are read
            low[mixed] = _least_positive(series.values, start[mixed], stop[mixed])
    return to_units(low, scale), to_units(high, scale)


def crossings(x: Floats, series: Series, at: Floats, scale: Scale) -> Floats:
    """The height, in axis units, at which the line between two points crosses `at`; NaN without a line."""
    height = np.full(len(at), np.nan)
    right = np.searchsorted(x, at)
    joined = np.flatnonzero((right > 0) & (right < len(x)))
    right = right[joined]
    before, after = x[right - 1], x[right]
    share = (at[joined] - before) / (after - before)
    start, end = to_units(series.values[right - 1], scale), to_units(series.values[right], scale)
    height[joined] = (1 - share) * start + share * end
    return height


def reach(x: Floats, series: Series, horizontal: Axis, scale: Scale) -> tuple[float, float]:
    """Minimum and maximum, in axis units, of all that is in sight of the curve; NaN if that is nothing."""
    ends = np.array([horizontal.low, horizontal.high])
    start, stop = borders(x, ends)
    stretches = np.linspace(start, stop, STRETCHES + 1).astype(np.intp)
    low, high = extent(series, stretches[:-1], stretches[1:], scale)
    crossed = crossings(x, series, ends, scale)
    return float(np.fmin.reduce([*low, *crossed])), float(np.fmax.reduce([*high, *crossed]))


def last_known(series: Series) -> float | None:
    """The newest value that is known; each look narrows the search to one stretch of those it was in."""
    if (newest := series.last()) is not None:
        return newest
    start, stop = 0, len(series)
    while stop - start > 1:
        stretches = np.unique(np.linspace(start, stop, STRETCHES + 1).astype(np.intp))
        known = np.flatnonzero(~np.isnan(series.extent(stretches[:-1], stretches[1:])[0]))
        if not len(known):
            return None
        start, stop = int(stretches[known[-1]]), int(stretches[known[-1] + 1])
    return None if stop == start or np.isnan(series.values[start]) else float(series.values[start])


def _least_positive(values: Floats, start: Indices, stop: Indices) -> Floats:
    """The smallest positive value at each [start[i], stop[i]); each must hold one."""
    lengths = stop - start
    first = np.cumsum(lengths) - lengths
    points = values[np.arange(lengths.sum()) + np.repeat(start - first, lengths)]
    return np.asarray(np.minimum.reduceat(np.where(points > 0, points, np.inf), first))
