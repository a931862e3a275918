"""The description of a chart: what is to be seen, and nothing about how it is drawn."""

from dataclasses import dataclass

from fbmon.metrics import Scale
from fbmon.series import Floats, Series


@dataclass(frozen=True, eq=False)
class Curve:
    """A series over `x` (steps or seconds), ascending and as long as the series; `role` names its colour."""

    label: str
    role: str
    x: Floats
    series: Series


@dataclass(frozen=True)
class Reference:
    """A dashed horizontal line, such as the clip threshold; in sight unless `y_range` says otherwise."""

    value: float
    label: str
    role: str


@dataclass(frozen=True, eq=False)
class Plot:
    """What a chart shows.

    A range of None is the extent of the data. `marks` are ascending x positions drawn in a row of their own;
    None means no such row, an empty array an empty row, so that the layout does not jump at the first mark.
    `y_format` is the Python format specification of the latest values in the legend.
    """

    title: str
    curves: tuple[Curve, ...]
    scale: Scale = "linear"
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    references: tuple[Reference, ...] = ()
    marks: Floats | None = None
    y_format: str = ".4g"
