"""The rows and columns of a drawing: header, y-axis, plotting area, marks, x-axis."""

from dataclasses import dataclass

import numpy as np

from fbmon.chart.area import Area
from fbmon.chart.axes import Axis
from fbmon.chart.dot_columns import DotTrace, edges, trace
from fbmon.chart.plot import Plot
from fbmon.chart.ranges import horizontal_axis, vertical_axis
from fbmon.chart.ticks import Tick, ticks

MARKS_HEIGHT, SIGNS_HEIGHT = 4, 7  # the least height of a drawing that has a row for them
GUTTER = 6  # five characters of label and the axis itself: charts above one another then share their columns
NARROW = 40  # below this width the gutter is only as wide as it must be
TICK_ROWS = 2  # a label and a free row
LOG = "log"  # stands where an axis that is one has no label


@dataclass(frozen=True)
class Layout:
    """The places of a drawing, and the curves and bands of its plot traced along the columns of the plotting area."""

    has_header: bool
    has_marks: bool
    has_x_axis: bool
    area: Area
    x_axis: Axis | None  # None: there is nothing to say about it
    y_axis: Axis | None
    labels: list[Tick]  # of the y-axis
    curves: list[DotTrace]
    bands: list[tuple[DotTrace, DotTrace]]

    @property
    def horizontal(self) -> Axis:
        return self.x_axis or Axis(0, 1)

    def cell(self, x: float) -> int:
        """Return the cell of the area, counted from its left, in which `x` stands."""
        return int(np.searchsorted(edges(self.horizontal, self.area.columns)[1:-1], x, side="right")) // 2


def lay_out(plot: Plot, width: int, height: int) -> Layout:
    """Return the layout of a drawing of at least one cell."""
    guess = GUTTER if width >= NARROW else 0
    made = _with_gutter(plot, width, height, guess)
    gutter = _gutter([*(tick.label for tick in made.labels), *([LOG] if plot.scale == "log" else [])], width)
    return made if gutter == guess else _with_gutter(plot, width, height, gutter)


def _with_gutter(plot: Plot, width: int, height: int, gutter: int) -> Layout:
    has_header, has_marks, has_x_axis = _rows(plot, height)
    area = Area(gutter, int(has_header), width - gutter, height - has_header - has_marks - has_x_axis)
    x_axis = horizontal_axis(plot)
    at = edges(x_axis or Axis(0, 1), area.columns)
    curves = [trace(curve.x, curve.series, at, plot.scale) for curve in plot.curves]
    bands = [tuple(trace(band.x, end, at, plot.scale) for end in (band.low, band.high)) for band in plot.bands]
    pairs = [(lower, upper) for lower, upper in bands]
    y_axis = vertical_axis(plot, [*curves, *(end for pair in pairs for end in pair)])
    labels = _labels(y_axis, area)
    return Layout(has_header, has_marks, has_x_axis, area, x_axis, y_axis, labels, curves, pairs)


def _rows(plot: Plot, height: int) -> tuple[bool, bool, bool]:
    """Say whether there is room for the header, the marks and the x-axis."""
    marks = (plot.marks is not None and height >= MARKS_HEIGHT) or (plot.signs is not None and height >= SIGNS_HEIGHT)
    return height >= 2, marks, height >= 4 + marks


def _labels(vertical: Axis | None, area: Area) -> list[Tick]:
    """Return the labels of the y-axis; none without an axis."""
    if vertical is None:
        return []

    def fitting(candidates: list[Tick]) -> list[Tick]:
        taken: dict[int, Tick] = {}
        for tick in candidates:
            row = area.row(vertical, tick.units)
            if row is not None and not taken.keys() & {row - 1, row, row + 1}:
                taken[row] = tick
        return list(taken.values())

    # An axis reaches from the lowest dot to the highest.
    return ticks(vertical, TICK_ROWS / (area.height - 0.25), fitting)


def _gutter(labels: list[str], width: int) -> int:
    """Return the cells to the left of the plotting area; none where they would take more than a third."""
    needed = 1 + max(map(len, labels), default=0)
    gutter = max(GUTTER, needed) if width >= NARROW else needed
    return gutter if 3 * gutter <= width else 0
