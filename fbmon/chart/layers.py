"""What lies over what in the plotting area: references, the curves in their order, the references' labels."""

import numpy as np

from fbmon.chart.area import Area
from fbmon.chart.axes import Axis, to_units
from fbmon.chart.canvas import Canvas, Cells, Codes
from fbmon.chart.columns import edges
from fbmon.chart.plot import Plot, Reference
from fbmon.chart.raster import BRAILLE, Dots, cells, curve_dots, dashed_dots


def draw_curves(canvas: Canvas, plot: Plot, area: Area, horizontal: Axis, vertical: Axis) -> None:
    """References, then curves over them: the dots of a cell are united, its role is that of the last."""
    united = np.zeros((area.height, area.width), np.uint32)
    for reference in plot.references:
        _overlay(canvas, area, united, _reference_dots(reference, area, vertical), reference.role)
    occupied = np.zeros(united.shape, np.bool_)
    columns = edges(horizontal, area.columns)
    for curve in plot.curves:
        dots = curve_dots(curve.x, curve.series, columns, vertical, area.rows)
        occupied |= _overlay(canvas, area, united, dots, curve.role)
    for reference in plot.references:
        _reference_label(canvas, reference, area, vertical, occupied)


def _overlay(canvas: Canvas, area: Area, united: Codes, dots: Dots, role: str) -> Cells:
    """Add dots to those `united` so far; answers which cells they touch."""
    bits = cells(dots)
    united |= bits
    canvas.stamp(area.top, area.left, united + BRAILLE, role, bits > 0)
    return bits > 0


def _reference_dots(reference: Reference, area: Area, vertical: Axis) -> Dots:
    height = vertical.place(to_units(np.array([reference.value]), vertical.scale))[0] * (area.rows - 1)
    return dashed_dots(height, area.rows, area.columns)


def _reference_label(canvas: Canvas, reference: Reference, area: Area, vertical: Axis, occupied: Cells) -> None:
    """The label on its line at the right end, else at the left; nowhere if curves run through both."""
    units = to_units(np.array([reference.value]), vertical.scale)[0]
    row = area.row(vertical, units)
    text = f" {reference.label}"
    if row is None or 2 * len(text) > area.width:
        return
    for start, wording in ((area.width - len(text), text), (0, f"{reference.label} ")):
        cells_below = occupied[row, start : start + len(text)]
        if not cells_below.any():
            cells_below[:] = True
            canvas.write(area.top + row, area.left + start, wording, reference.role)
            return
