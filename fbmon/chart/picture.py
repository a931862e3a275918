"""The drawing of a plot, from its header down to its x-axis.

    loss                     ━ train 1.2  ━ validation 1.4    title and legend
       2 ┤⢣⡀                                                  plotting area: labels of the y-axis, curves over
         │ ⠑⠢⢄⣀⡀                                              dashed references
       1 ┤      ⠉⠉⠉⠒⠒⠒⠤⠤⠤⠤⠤⣀⣀⣀⣀
                 ⠇ ⠸                                          marks
         0         1000        2000        3000               x-axis

What does not fit is left out: the x-axis, then the marks, then the header; in a narrow drawing the y-axis.
"""

import numpy as np

from fbmon.chart.area import Area
from fbmon.chart.axes import Axis
from fbmon.chart.canvas import Canvas, Drawing
from fbmon.chart.columns import borders, edges
from fbmon.chart.layers import draw_curves
from fbmon.chart.legend import GAP, legend, title
from fbmon.chart.plot import Plot
from fbmon.chart.ranges import horizontal_axis, vertical_axis
from fbmon.chart.raster import BRAILLE, cells
from fbmon.chart.ticks import Tick, ticks
from fbmon.series import Floats

AXIS = "axis"
MARK = "mark"
MARK_DOTS = 3  # of the four in a cell: marks hang from the plotting area and keep clear of the x-axis
GUTTER = 6  # five characters of label and the axis itself: charts above one another then share their columns
NARROW = 40  # below this width the gutter is only as wide as it must be
TICK_ROWS = 2  # a label and a free row
TICK_COLUMNS = 10  # a label of five characters and a gap as wide


def draw(plot: Plot, width: int, height: int) -> Drawing:
    """`plot` in exactly `height` rows of `width` cells each, however small.

    The time depends on the size, and on the number of points only by its logarithm: points are read one by one
    only on a log axis, in those pixel columns that hold positive values next to others.
    """
    canvas = Canvas(max(width, 0), max(height, 0))
    if width > 0 and height > 0:
        _paint(canvas, plot, width, height)
    return canvas.drawing()


def _paint(canvas: Canvas, plot: Plot, width: int, height: int) -> None:
    has_header, has_marks, has_x_axis = _rows(plot, height)
    plot_height = height - has_header - has_marks - has_x_axis
    x_axis = horizontal_axis(plot)
    horizontal = x_axis or Axis(0, 1)
    y_axis = vertical_axis(plot, horizontal)
    vertical = y_axis or Axis(0, 1, plot.scale)
    labels = _labels(y_axis, plot_height) if y_axis else []  # an invented range has nothing to say
    gutter = _gutter(labels, width)
    area = Area(gutter, int(has_header), width - gutter, plot_height)
    if has_header:
        _header(canvas, plot, width)
    if gutter:
        _y_axis(canvas, area, vertical, labels)
    draw_curves(canvas, plot, area, horizontal, vertical)
    if has_marks and plot.marks is not None:
        _marks(canvas, plot.marks, area, horizontal)
    if has_x_axis and x_axis:
        _x_axis(canvas, area, x_axis, height - 1)


def _rows(plot: Plot, height: int) -> tuple[bool, bool, bool]:
    """Whether there is room for the header, the marks and the x-axis."""
    marks = plot.marks is not None and height >= 4
    return height >= 2, marks, height >= 4 + marks


def _labels(vertical: Axis, height: int) -> list[Tick]:
    return ticks(vertical, min(TICK_ROWS / (height - 0.25), 0.5))  # an axis reaches from lowest to highest dot


def _gutter(labels: list[Tick], width: int) -> int:
    """Cells to the left of the plotting area; none where they would take more than a third."""
    needed = 1 + max((len(tick.label) for tick in labels), default=0)
    gutter = max(GUTTER, needed) if width >= NARROW else needed
    return gutter if 3 * gutter <= width else 0


def _header(canvas: Canvas, plot: Plot, width: int) -> None:
    entries = legend(plot, width)
    canvas.write(0, 0, *title(plot, width))
    column = width - sum(len(entry.text) for entry in entries) - GAP * (len(entries) - 1)
    for entry in entries:
        canvas.write(0, column, *entry)
        column += len(entry.text) + GAP


def _y_axis(canvas: Canvas, area: Area, vertical: Axis, labels: list[Tick]) -> None:
    for row in range(area.height):
        canvas.write(area.top + row, area.left - 1, "│", AXIS)
    taken: set[int] = set()
    for tick in labels:
        line = area.row(vertical, tick.units)
        if line is not None and not taken & {line - 1, line, line + 1}:
            taken.add(line)
            canvas.write(area.top + line, 0, f"{tick.label:>{area.left - 1}}┤", AXIS)


def _x_axis(canvas: Canvas, area: Area, horizontal: Axis, row: int) -> None:
    border = edges(horizontal, area.columns)
    free = area.left
    for tick in ticks(horizontal, min(TICK_COLUMNS / area.width, 0.5)):
        cell = area.left + int(np.searchsorted(border[1:-1], tick.units, side="right")) // 2
        last_start = area.left + area.width - len(tick.label)
        start = min(max(cell - len(tick.label) // 2, area.left), last_start)
        if start >= free:
            canvas.write(row, start, tick.label, AXIS)
            free = start + len(tick.label) + GAP


def _marks(canvas: Canvas, marks: Floats, area: Area, horizontal: Axis) -> None:
    """A mark in each pixel column where at least one of `marks` stands."""
    index = borders(marks, edges(horizontal, area.columns))
    dots = np.zeros((4, area.columns), np.bool_)
    dots[:MARK_DOTS] = np.diff(index) > 0
    bits = cells(dots)
    canvas.stamp(area.top + area.height, area.left, bits + BRAILLE, MARK, bits > 0)
