"""The points of a landscape, and what the answers come to: the mean over the directions, and their band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fbmon.analysis.asked import Known, Point
from fbmon.store.series import Floats

Value = Literal["loss", "accuracy"]


def along(directions: int, points: int, radius: float) -> list[Point]:
    """Points in [-radius, radius] along each of so many directions; an odd number has the minimum among them."""
    return [Point((number,), (at,)) for number in range(directions) for at in _spread(points, radius)]


def over(points: int, radius: float) -> list[Point]:
    """A square grid spanned by the first two directions, row by row."""
    rows = _spread(points, radius)
    return [Point((0, 1), (x, y)) for y in rows for x in rows]


def between(points: int) -> list[Point]:
    """Return points from the minimum, 0, to the other one, 1."""
    return [Point((0,), (place / (points - 1),)) for place in range(points)]


@dataclass(frozen=True, eq=False)
class Profile:
    """A value along a line: of all directions the mean, the least and the greatest; NaN where one is not known yet."""

    at: Floats
    mean: Floats
    low: Floats
    high: Floats


def profile(known: Known, probes: Sequence[Point], value: Value) -> Profile:
    """Return what the answers say along the points of `along` or `between`."""
    at = sorted({point.at[0] for point in probes})
    directions = sorted({point.directions[0] for point in probes})
    table = np.array([[_value(known, Point((number,), (x,)), value) for x in at] for number in directions])
    return Profile(np.array(at), table.mean(axis=0), table.min(axis=0), table.max(axis=0))


def table(known: Known, probes: Sequence[Point], value: Value) -> tuple[Floats, Floats]:
    """The places along an edge of the grid, and the values on it: the first row is at the lowest second coordinate."""
    at = sorted({point.at[0] for point in probes})
    rows = [[_value(known, Point((0, 1), (x, y)), value) for x in at] for y in at]
    return np.array(at), np.array(rows)


def _spread(points: int, radius: float) -> list[float]:
    # Whole numbers first: so the middle is 0 and a finer grid has the very points of a coarser one.
    return [radius * ((2 * place - (points - 1)) / (points - 1)) for place in range(points)]


def _value(known: Known, point: Point, value: Value) -> float:
    found = known.get(point, {}).get(value)
    return np.nan if found is None else found
