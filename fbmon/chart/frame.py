"""The curves and bands of a plot on paper: through every point if there is room, else no spike is lost."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from fbmon.chart.axes import Axis, to_units
from fbmon.chart.dot_columns import DotTrace, trace
from fbmon.chart.plot import Band, Curve, Plot
from fbmon.chart.ranges import horizontal_axis, vertical_axis
from fbmon.store.series import Floats, Series

LEFT, TOP, RIGHT = 58, 30, 14  # pixels around the plotting area


@dataclass(frozen=True)
class Size:
    """The width of a chart, the height of its plotting area and that of its letters, in pixels."""

    width: int
    plot: int
    letters: int

    @property
    def bottom(self) -> int:
        return TOP + self.plot

    @property
    def right(self) -> int:
        return self.width - RIGHT


class Frame:
    """The plotting area of a plot; `vertical` is None where no number is known."""

    def __init__(self, plot: Plot, size: Size) -> None:
        self._size, self._scale = size, plot.scale
        self.horizontal = horizontal_axis(plot) or Axis(0, 1)
        self._edges = np.linspace(self.horizontal.low, self.horizontal.high, size.right - LEFT + 1)  # one a pixel
        self._traces = {curve: self._trace(curve.x, curve.series) for curve in plot.curves}
        self._ends = {band: (self._trace(band.x, band.low), self._trace(band.x, band.high)) for band in plot.bands}
        ends = (end for pair in self._ends.values() for end in pair)
        self.vertical = vertical_axis(plot, [*self._traces.values(), *ends])

    def x(self, numbers: Floats) -> Floats:
        """Return pixels from the left."""
        return LEFT + self.horizontal.place(numbers) * (self._size.right - LEFT)

    def y(self, units: Floats) -> Floats:
        """Return pixels from the top for axis units; NaN is unknown."""
        return self._size.bottom - (self.vertical or Axis(0, 1)).place(units) * self._size.plot

    def level(self, value: float) -> float:
        """Return pixels from the top for a value; NaN where the scale cannot show it."""
        return float(self.y(to_units(np.array([value]), self._scale))[0])

    def line(self, curve: Curve) -> str:
        """Return the path of a curve: through each point, or each pixel column's lowest and highest."""
        if self._has_room(curve.x):
            return "".join(map(_stroke, _stretches(self.x(curve.x), self.y(self._units(curve.series)))))
        low, high, line = self._traces[curve]
        x = np.append(np.stack([self._edges[:-1], self._middle(), self._middle()], axis=1), self._edges[-1])
        units = np.append(np.stack([line[:-1], low, high], axis=1), line[-1])
        kept = ~np.isnan(units) | (np.arange(len(units)) % 3 == 0)  # an edge without a line is a gap
        return "".join(map(_stroke, _stretches(self.x(x[kept]), self.y(units[kept]))))

    def area(self, band: Band) -> str:
        """Return the path around the area between the two ends of a band, where both are known."""
        if self._has_room(band.x):
            x, low, high = band.x, self.y(self._units(band.low)), self.y(self._units(band.high))
        else:
            lower, upper = self._ends[band]
            x = self._middle()
            low = self.y(np.fmin(lower.low, np.fmin(lower.line[:-1], lower.line[1:])))
            high = self.y(np.fmax(upper.high, np.fmax(upper.line[:-1], upper.line[1:])))
        gaps = 0 * (low + high)  # NaN where either end is unknown, else 0
        around = zip(_stretches(self.x(x), low + gaps), _stretches(self.x(x), high + gaps), strict=True)
        return "".join(f"M{'L'.join([*there, *reversed(back)])}z" for there, back in around)

    def _units(self, series: Series) -> Floats:
        return to_units(series.values, self._scale)

    def _trace(self, x: Floats, series: Series) -> DotTrace:
        return trace(x, series, self._edges, self._scale)

    def _middle(self) -> Floats:
        return np.asarray((self._edges[:-1] + self._edges[1:]) / 2)

    def _has_room(self, x: Floats) -> bool:
        """Say whether the points are few and all in sight."""
        return 0 < len(x) <= 2 * len(self._edges) and self._edges[0] <= x[0] and bool(x[-1] <= self._edges[-1])


def _stroke(points: list[str]) -> str:
    """Return the path of a line; a point without neighbours is a dot."""
    return f"M{points[0]}h0{''.join(f'L{point}' for point in points[1:])}"


def _stretches(x: Floats, y: Floats) -> Iterator[list[str]]:
    """Yield the points of each stretch without a gap."""
    for is_known, points in groupby(zip(x.tolist(), y.tolist(), strict=True), lambda point: not math.isnan(point[1])):
        if is_known:
            yield [point for point, _ in groupby(f"{across:.1f} {down:.1f}" for across, down in points)]
