"""The pyramid of minima and maxima against a plain search."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.store.series import Series

numbers = st.none() | st.floats(allow_nan=False, width=32)
stretches = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=20)


def filled(values: list[float | None]) -> Series:
    series = Series()
    for step, value in enumerate(values):
        series.append(step, step / 2, value)
    return series


def slow_extent(values: list[float | None], start: int, stop: int) -> tuple[float, float]:
    known = [value for value in values[start:stop] if value is not None]
    return (min(known), max(known)) if known else (np.nan, np.nan)


def check(series: Series, values: list[float | None], wanted: list[tuple[int, int]]) -> None:
    wanted = [(min(start, len(values)), min(stop, len(values))) for start, stop in wanted]
    start, stop = np.array(wanted, dtype=np.intp).T
    low, high = series.extent(start, stop)
    expected = np.array([slow_extent(values, *stretch) for stretch in wanted])
    np.testing.assert_array_equal(np.stack([low, high], axis=1), expected)
    np.testing.assert_array_equal(np.stack([start, stop], axis=1), wanted, "the question is left as it was")


@settings(max_examples=150)
@given(st.lists(numbers, max_size=300), stretches)
def test_the_extent_of_any_stretch_is_that_of_a_plain_search(
    values: list[float | None], wanted: list[tuple[int, int]]
) -> None:
    check(filled(values), values, wanted)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.lists(numbers, max_size=100), stretches), max_size=5))
def test_points_that_come_after_a_question_count_in_the_next(
    rounds: list[tuple[list[float | None], list[tuple[int, int]]]],
) -> None:
    series, values = Series(), list[float | None]()
    for more, wanted in rounds:
        for value in more:
            series.append(len(series), 0.0, value)
        values += more
        check(series, values, wanted)


def test_ten_thousand_points_are_kept_in_order_whatever_room_there_was_at_first() -> None:
    values: list[float | None] = [None if step % 7 == 0 else float(step) for step in range(10_000)]
    series = filled(values)
    assert len(series) == 10_000
    np.testing.assert_array_equal(series.steps, np.arange(10_000))
    np.testing.assert_array_equal(series.elapsed, np.arange(10_000) / 2)
    np.testing.assert_array_equal(series.values, np.array(values, dtype=float))
    check(series, values, [(0, 10_000), (63, 65), (9_999, 10_000), (5_000, 5_000), (7, 8)])


def test_the_last_value_is_none_when_there_is_none_or_it_is_unknown() -> None:
    assert Series().last() is None
    assert filled([1.0, None]).last() is None
    assert filled([None, 1.0]).last() == 1.0


def test_two_series_are_equal_when_all_their_points_are_gaps_included() -> None:
    assert filled([1.0, None]) == filled([1.0, None])
    assert filled([1.0, None]) != filled([1.0, 2.0])
    assert filled([1.0]) != filled([1.0, None])
