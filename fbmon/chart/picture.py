"""The drawing of a plot, from its header down to its x-axis.

    loss                     ━ train 1.2  ○ validation 1.4    title and legend
       2 ┤⢣⡀        │                                         plotting area: labels of the y-axis, curves over
         │ ⠑⠢⢄⣀⡀    │                                         dashed references, the cursor
       1 ┤      ⠉⠉⠉⠒⠒⠒○⠤⠤⠤⠤⣀⣀⣀⣀
                 ⠇ ⠸  ▲                                       marks and signs
         0         1000        2000        3000               x-axis

What does not fit is left out: the x-axis, then the marks, then the header; in a narrow drawing the y-axis.
"""

import numpy as np
from numpy.typing import NDArray

from fbmon.chart.area import Area
from fbmon.chart.axes import Axis
from fbmon.chart.canvas import Canvas, Drawing
from fbmon.chart.dot_columns import borders, edges
from fbmon.chart.layers import Layers
from fbmon.chart.layout import LOG, Layout, lay_out
from fbmon.chart.legend import GAP, legend, title
from fbmon.chart.plot import Plot
from fbmon.chart.raster import cells, characters
from fbmon.chart.spans import time_ticks
from fbmon.chart.ticks import Tick, ticks
from fbmon.store.series import Floats

AXIS = "axis"
MARK = "mark"
MARK_DOTS = 3  # of the four in a cell: marks hang from the plotting area and keep clear of the x-axis
TICK_COLUMNS = 10  # a label of five characters and a gap as wide


def draw(plot: Plot, width: int, height: int) -> Drawing:
    """Draw `plot` in exactly `height` rows of `width` cells each, however small.

    The time depends on the size, and on the number of points only by its logarithm: points are read one by one
    only on a log axis, in those pixel columns that hold positive values next to others.
    """
    canvas = Canvas(max(width, 0), max(height, 0))
    if width > 0 and height > 0:
        _paint(canvas, plot, lay_out(plot, width, height))
    return canvas.drawing()


def _paint(canvas: Canvas, plot: Plot, layout: Layout) -> None:
    area = layout.area
    if layout.has_header:
        _header(canvas, plot, area.left + area.width)
    vertical = layout.y_axis or Axis(0, 1, plot.scale)
    if area.left:
        _y_axis(canvas, area, vertical, layout.labels)
    layers = Layers(canvas, area, vertical)
    layers.paint(plot, layout)
    if plot.cursor is not None and layout.horizontal.low <= plot.cursor <= layout.horizontal.high:
        layers.cursor(layout.cell(plot.cursor))
    if layout.has_marks:
        _marks(canvas, plot, layout)
    if layout.has_x_axis and layout.x_axis:
        _x_axis(canvas, plot, layout)


def _header(canvas: Canvas, plot: Plot, width: int) -> None:
    entries = legend(plot, width)
    canvas.write(0, 0, *title(plot, width))
    column = width - sum(len(entry.text) for entry in entries)
    for entry in entries:
        canvas.write(0, column, *entry)
        column += len(entry.text)


def _y_axis(canvas: Canvas, area: Area, vertical: Axis, labels: list[Tick]) -> None:
    for row in range(area.height):
        canvas.write(area.top + row, area.left - 1, "│", AXIS)
    labels_by_line = {line: tick.label for tick in labels if (line := area.row(vertical, tick.units)) is not None}
    for line, label in labels_by_line.items():
        canvas.write(area.top + line, 0, f"{label:>{area.left - 1}}┤", AXIS)
    free = next((row for row in range(area.height) if row not in labels_by_line), None)
    if vertical.scale == "log" and free is not None:
        canvas.write(area.top + free, 0, f"{LOG:>{area.left - 1}}", AXIS)


def _x_axis(canvas: Canvas, plot: Plot, layout: Layout) -> None:
    area, axis, unit = layout.area, layout.horizontal, plot.x_unit
    apart, row = TICK_COLUMNS / area.width, area.top + area.height + layout.has_marks

    def start(tick: Tick) -> int:
        last = area.left + area.width - len(tick.label)
        return min(max(area.left + layout.cell(tick.units) - len(tick.label) // 2, area.left), last)

    def fitting(candidates: list[Tick]) -> list[Tick]:
        kept: list[Tick] = []
        for tick in candidates:
            if start(tick) >= (start(kept[-1]) + len(kept[-1].label) + GAP if kept else area.left):
                kept.append(tick)
        return kept

    for tick in ticks(axis, apart, fitting) if unit == "number" else time_ticks(axis, apart, unit, fitting):
        canvas.write(row, start(tick), tick.label, AXIS)


def _marks(canvas: Canvas, plot: Plot, layout: Layout) -> None:
    """Draw a mark in each pixel column where at least one of `marks` stands; over them the signs."""
    area, row = layout.area, layout.area.top + layout.area.height
    if plot.marks is not None:
        dots = np.zeros((4, area.columns), np.bool_)
        dots[:MARK_DOTS] = _standing(plot.marks, layout)
        bits = cells(dots)
        canvas.stamp(row, area.left, characters(bits), MARK, bits > 0)
    for signs in plot.signs or ():
        where = np.asarray(_standing(signs.x, layout).reshape(1, area.width, 2).any(axis=2))
        canvas.stamp(row, area.left, np.full(where.shape, ord(signs.character), np.uint32), signs.role, where)


def _standing(x: Floats, layout: Layout) -> NDArray[np.bool_]:
    """Return the pixel columns in which at least one of `x` stands."""
    return np.asarray(np.diff(borders(x, edges(layout.horizontal, layout.area.columns))) > 0)
