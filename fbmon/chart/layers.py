"""The layers of the plotting area: bands, references, curves, their markers, labels, the cursor."""

import numpy as np

from fbmon.chart.area import Area
from fbmon.chart.axes import Axis, to_units
from fbmon.chart.canvas import Canvas, Cells, Codes
from fbmon.chart.dot_columns import DotTrace
from fbmon.chart.layout import Layout
from fbmon.chart.markers import marked
from fbmon.chart.plot import Curve, Plot, Reference
from fbmon.chart.raster import Dots, band_dots, cells, characters, dashed_dots, heights, trace_dots

DIM = " dim"  # behind the role of a curve that stands back
CURSOR = "cursor"


class Layers:
    """Paints one plotting area: the dots of a cell are united, its role is that of the last that came."""

    def __init__(self, canvas: Canvas, area: Area, vertical: Axis) -> None:
        self._canvas = canvas
        self._area = area
        self._vertical = vertical
        self._united: Codes = np.zeros((area.height, area.width), np.uint32)
        self._occupied: Cells = np.zeros((area.height, area.width), np.bool_)

    def paint(self, plot: Plot, layout: Layout) -> None:
        """Paint everything in the area except the cursor, from the back to the front."""
        rows = self._area.rows
        for band, (lower, upper) in zip(plot.bands, layout.bands, strict=True):
            self._overlay(band_dots(lower, upper, self._vertical, rows), band.role)
        for reference in plot.references:
            self._overlay(self._reference_dots(reference), reference.role)
        pairs = list(zip(plot.curves, layout.curves, strict=True))
        pairs.sort(key=lambda pair: not pair[0].dim)
        for curve, trace in pairs:
            self._curve(curve, trace)
        for number, curve in enumerate(curve for curve, _ in pairs if curve.marker):
            self._markers(curve, layout, number)
        for reference in plot.references:
            self._label(reference)

    def cursor(self, column: int) -> None:
        """Draw a vertical line through the cells that are still blank."""
        for row in range(self._area.height):
            if not self._occupied[row, column] and not self._united[row, column]:
                self._canvas.write(self._area.top + row, self._area.left + column, "│", CURSOR)

    def _curve(self, curve: Curve, trace: DotTrace) -> None:
        self._occupied |= self._overlay(trace_dots(trace, self._vertical, self._area.rows), role_of(curve))

    def _overlay(self, dots: Dots, role: str) -> Cells:
        """Add dots to those united so far, and return the cells that they touch."""
        bits = cells(dots)
        self._united |= bits
        self._canvas.stamp(self._area.top, self._area.left, characters(self._united), role, bits > 0)
        return bits > 0

    def _markers(self, curve: Curve, layout: Layout, number: int) -> None:
        places = marked(curve, layout, number)
        heights = to_units(curve.series.values[places], self._vertical.scale)
        for x, units in zip(curve.x[places].tolist(), heights.tolist(), strict=True):
            row = None if units != units else self._area.row(self._vertical, units)
            if row is not None:
                column = self._area.left + layout.cell(x)
                self._canvas.write(self._area.top + row, column, curve.marker, role_of(curve))

    def _reference_dots(self, reference: Reference) -> Dots:
        units = to_units(np.array([reference.value]), self._vertical.scale)
        (height,) = heights(units, self._vertical, self._area.rows)
        return dashed_dots(height, self._area.rows, self._area.columns)

    def _label(self, reference: Reference) -> None:
        """Write the label on its line at the right or left end, else just below or above; nowhere if all is taken."""
        row = self._area.row(self._vertical, to_units(np.array([reference.value]), self._vertical.scale)[0])
        text = f" {reference.label}"
        if row is None or 2 * len(text) > self._area.width:
            return
        right = self._area.width - len(text)
        for line in (row, row + 1, row - 1):
            for start, wording in ((right, text), (0, f"{reference.label} ")):
                below = self._occupied[line : line + 1, start : start + len(text)]
                if line >= 0 and below.size and not below.any():
                    below[:] = True
                    self._canvas.write(self._area.top + line, self._area.left + start, wording, reference.role)
                    return


def role_of(curve: Curve) -> str:
    return curve.role + DIM if curve.dim else curve.role
