"""The promise of the raster: every pixel column shows exactly what lies in it, compared with a count point by point."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.chart.axes import Axis, to_units
from fbmon.chart.dot_columns import borders, edges, extent, last_known, trace
from fbmon.chart.raster import DECIMALS, Dots, cells, heights, trace_dots
from fbmon.store.series import Floats, Series
from tests.chart.make import series

ROWS = 40
ROUNDED = 10.0**-DECIMALS
VALUES = st.none() | st.floats(-3, 3) | st.sampled_from([0.0, 1.0, -1.0])
STEPS = st.lists(st.integers(0, 200), max_size=120).map(sorted)


def curve_dots(x: Floats, curve: Series, edges: Floats, vertical: Axis, rows: int) -> Dots:
    return trace_dots(trace(x, curve, edges, vertical.scale), vertical, rows)


@st.composite
def points(pick: st.DrawFn) -> tuple[list[float], list[float | None]]:
    x = [float(step) for step in pick(STEPS)]
    return x, pick(st.lists(VALUES, min_size=len(x), max_size=len(x)))


@settings(max_examples=200, deadline=None)
@given(points(), st.integers(2, 60), st.sampled_from(["linear", "log"]))
def test_the_extent_of_each_column_is_that_of_its_points(given_points, columns: int, scale) -> None:
    x, values = given_points
    horizontal = Axis(10, 150)
    border = edges(horizontal, columns)
    index = borders(np.array(x), border)
    low, high = extent(series(values, x), index[:-1], index[1:], scale)
    for column in range(columns):
        inside = [
            value
            for step, value in zip(x, values, strict=True)
            if 10 <= step <= 150
            and int(np.searchsorted(border[1:-1], step, side="right")) == column
            and value is not None
            and (scale == "linear" or value > 0)
        ]
        expected = to_units(np.array([min(inside), max(inside)]), scale) if inside else np.full(2, np.nan)
        np.testing.assert_array_equal([low[column], high[column]], expected)


def point_dots(x: list[float], values: list[float | None], border, vertical: Axis) -> Dots:
    """Each known point alone: the row nearest to it in the column it stands in."""
    lit = np.zeros((ROWS, len(border) - 1), bool)
    units = to_units(np.array([np.nan if value is None else value for value in values]), vertical.scale)
    for step, height in zip(x, heights(units, vertical, ROWS), strict=True):
        if border[0] <= step <= border[-1] and not np.isnan(height):
            lit[int(np.floor(height + 0.5)), int(np.searchsorted(border[1:-1], step, side="right"))] = True
    return lit[::-1]


@settings(max_examples=200, deadline=None)
@given(points(), st.integers(2, 60), st.sampled_from(["linear", "log"]))
def test_every_known_point_is_lit(given_points, columns: int, scale) -> None:
    x, values = given_points
    vertical = Axis(-3, 3) if scale == "linear" else Axis(-330, 1, "log")
    border = edges(Axis(10, 150), columns)
    lit = curve_dots(np.array(x), series(values, x), border, vertical, ROWS)
    assert not (point_dots(x, values, border, vertical) & ~lit).any()


@settings(max_examples=200, deadline=None)
@given(points(), st.integers(2, 60))
def test_nothing_is_lit_beyond_the_points_and_lines_of_a_column(given_points, columns: int) -> None:
    x, values = given_points
    vertical, border = Axis(-3, 3), edges(Axis(10, 150), columns)
    lit = curve_dots(np.array(x), series(values, x), border, vertical, ROWS)
    for column in range(columns):
        there = heights_in(x, values, border[column], border[column + 1], column == columns - 1)
        if not there:
            assert not lit[:, column].any()
            continue
        rows = ROWS - 1 - np.flatnonzero(lit[:, column])
        bottom, top = heights(np.array([min(there), max(there)]), vertical, ROWS)
        assert (np.diff(rows) == -1).all()  # one unbroken stretch
        assert rows.min() >= bottom - 0.5 - ROUNDED
        assert rows.max() <= top + 0.5 + ROUNDED
        assert len(rows) >= np.floor(top) - np.ceil(bottom) - 1


def heights_in(x: list[float], values: list[float | None], start: float, stop: float, last: bool) -> list[float]:
    """The known points in [start, stop), and the ends of the pieces of line that run there."""
    found = [
        value
        for step, value in zip(x, values, strict=True)
        if value is not None and (start <= step < stop or (last and step == stop))
    ]
    for left, right in zip(range(len(x) - 1), range(1, len(x)), strict=True):
        a, b = values[left], values[right]
        if a is None or b is None or x[left] == x[right]:
            continue
        slope = (b - a) / (x[right] - x[left])
        found += [a + slope * (at - x[left]) for at in (start, stop) if x[left] < at <= x[right]]
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=40), st.integers(2, 80))
def test_a_curve_without_gaps_is_connected(values: list[float], columns: int) -> None:
    made = series(values)
    lit = curve_dots(made.steps, made, edges(Axis(0, len(values) - 1), columns), Axis(-3, 3), ROWS)
    rows = [np.flatnonzero(column) for column in lit.T]
    for before, after in pairwise(rows):
        assert after.min() <= before.max() + 1
        assert before.min() <= after.max() + 1


def test_a_steep_line_is_one_dot_thick() -> None:
    made = series([0.0, 1.0])
    lit = curve_dots(made.steps, made, edges(Axis(0, 1), 40), Axis(0, 1), 40)
    assert (lit == np.eye(40, dtype=bool)[::-1]).all()


def test_a_gap_of_one_unknown_value_leaves_its_columns_dark() -> None:
    made = series([1.0, 1.0, None, 1.0, 1.0])
    lit = curve_dots(made.steps, made, edges(Axis(0, 4), 41), Axis(0, 2), 3)
    assert "".join("#" if dot else "." for dot in lit[1]) == "#" * 11 + "." * 19 + "#" * 11


def test_a_line_that_crosses_the_window_without_a_point_in_it_is_drawn() -> None:
    made = series([0.0, 1.0], [0, 100])
    lit = curve_dots(made.steps, made, edges(Axis(40, 60), 10), Axis(0, 1), 5)
    assert "".join("#" if dot else "." for dot in lit[2]) == "#" * 10


def test_dots_become_the_braille_bits_of_their_cells() -> None:
    for dot, bit in enumerate((0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80)):
        lit = np.zeros(8, bool)
        lit[dot] = True
        assert cells(lit.reshape(4, 2)).tolist() == [[bit]]


@given(st.lists(st.none() | st.floats(-3, 3), max_size=300))
def test_the_last_known_value_is_found(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    assert last_known(series(values)) == (known[-1] if known else None)
