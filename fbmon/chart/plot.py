"""The description of a chart: what is to be seen, and nothing about how it is drawn."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from fbmon.metrics import Scale
from fbmon.store.series import Floats, Series

XUnit = Literal["number", "span", "clock"]  # a count; seconds since a beginning; seconds since 1970


@dataclass(frozen=True, eq=False)
class Curve:
    """A series over `x`, ascending and as long as the series; `role` names its colour."""

    label: str
    role: str
    x: Floats
    series: Series
    marker: str = ""  # set along the curve and before its name, so that no curve is told apart by its colour alone
    dim: bool = False  # behind the others
    named: bool = True  # in the legend
    end: float = inf  # where its run stands: beyond it has no value
    values: Series | None = None  # whose values the legend tells, where those drawn are not the ones told


@dataclass(frozen=True, eq=False)
class Band:
    """All between two series over the same `x`, such as the least and the greatest of several runs."""

    role: str
    x: Floats
    low: Series
    high: Series


@dataclass(frozen=True)
class Reference:
    """A dashed horizontal line, such as the clip threshold; in sight unless `y_range` says otherwise."""

    value: float
    label: str
    role: str


@dataclass(frozen=True, eq=False)
class Signs:
    """One character under each cell in which at least one of `x`, ascending, stands."""

    x: Floats
    character: str
    role: str


@dataclass(frozen=True, eq=False)
class Plot:
    """The content of a chart.

    A range of None is the extent of the data. `marks` are ascending x positions drawn as dots in a row of their own,
    `signs` are characters in the same row, the later over the earlier; where both are None there is no such row, and
    where one is empty the row is there, so that the layout does not jump at the first mark.
    `y_format` is the Python format specification of the values in the legend: the latest, or those at the `cursor`.
    """

    title: str
    curves: tuple[Curve, ...]
    scale: Scale = "linear"
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    references: tuple[Reference, ...] = ()
    marks: Floats | None = None
    y_format: str = ".4g"
    signs: tuple[Signs, ...] | None = None
    bands: tuple[Band, ...] = ()
    cursor: float | None = None
    x_unit: XUnit = "number"
    x_label: str = ""  # what `x` counts; on paper, where no key tells it
