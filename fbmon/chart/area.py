"""The part of a drawing in which the curves are drawn, in cells and in dots."""

from dataclasses import dataclass

import numpy as np

from fbmon.chart.axes import Axis
from fbmon.chart.raster import heights, nearest


@dataclass(frozen=True)
class Area:
    """A rectangle of cells, each two dots wide and four dots high."""

    left: int
    top: int
    width: int
    height: int

    @property
    def columns(self) -> int:
        return 2 * self.width

    @property
    def rows(self) -> int:
        return 4 * self.height

    def row(self, vertical: Axis, units: float) -> int | None:
        """Return the cell row, from the top of the area, of the dot nearest to `units`; None outside the axis."""
        (dot,) = nearest(heights(np.array([units]), vertical, self.rows))
        return int(self.rows - 1 - dot) // 4 if 0 <= dot < self.rows else None
