"""The points of a landscape, and the curves drawn from the answers: the mean over the directions, and their band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fbmon.analysis.asked import Known, Point
from fbmon.store.series import Floats

Value = Literal["loss", "accuracy"]


def along(directions: int, points: int, radius: float) -> list[Point]:
    """Return points in [-radius, radius] along each direction; an odd number of points includes the minimum."""
    return [Point((number,), (at,)) for number in range(directions) for at in _spread(points, radius)]


def over(points: int, radius: float) -> list[Point]:
    """Return a square grid spanned by the first two directions, row by row."""
    rows = _spread(points, radius)
    return [Point((0, 1), (x, y)) for y in rows for x in rows]


def between(points: int) -> list[Point]:
    """Return points on the line from the minimum, at 0, to the other minimum, at 1."""
    return [Point((0,), (index / (points - 1),)) for index in range(points)]


@dataclass(frozen=True, eq=False)
class Profile:
    """A value along a line: its mean, least and greatest over all directions; NaN until all of them are known."""

    at: Floats
    mean: Floats
    low: Floats
    high: Floats


def profile(answers: Known, probes: Sequence[Point], value: Value) -> Profile:
    """Return a value from the answers along the points of `along` or `between`."""
    at = sorted({point.at[0] for point in probes})
    directions = sorted({point.directions[0] for point in probes})
    table = np.array([[_value(answers, Point((number,), (x,)), value) for x in at] for number in directions])
    return Profile(np.array(at), table.mean(axis=0), table.min(axis=0), table.max(axis=0))


def table(answers: Known, probes: Sequence[Point], value: Value) -> tuple[Floats, Floats]:
    """Return the coordinates along an edge of the grid and the values on it; row 0 has the lowest second coordinate."""
    at = sorted({point.at[0] for point in probes})
    rows = [[_value(answers, Point((0, 1), (x, y)), value) for x in at] for y in at]
    return np.array(at), np.array(rows)


def _spread(points: int, radius: float) -> list[float]:
    # Whole numbers first, so that the middle is exactly 0 and a finer grid has exactly the points of a coarser one.
    return [radius * ((2 * index - (points - 1)) / (points - 1)) for index in range(points)]


def _value(answers: Known, point: Point, value: Value) -> float:
    number = answers.get(point, {}).get(value)
    return np.nan if number is None else number
