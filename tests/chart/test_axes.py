"""Ranges with a little air, and round numbers in few characters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbmon.chart.axes import Axis, exactly, fit, to_units
from fbmon.chart.ticks import ticks


def labels(axis: Axis, apart: float = 0.2) -> list[str]:
    return [tick.label for tick in sorted(ticks(axis, apart))]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2, 7, (1.8, 7.2)),
        (0, 5, (0, 5.2)),  # not below zero
        (0.2, 0.7, (0.18, 0.72)),
        (0.01, 0.99, (0, 1)),  # an accuracy
        (-1, 1, (-1.08, 1.08)),
        (5, 5, (4.5, 5.5)),
        (-5, -5, (-5.5, -4.5)),
        (1, 1, (0.9, 1)),
        (0, 0, (0, 1)),
    ],
)
def test_a_linear_range_gets_a_little_air_within_its_bounds(low, high, expected) -> None:
    axis = fit(low, high, "linear")
    assert (axis.low, axis.high) == pytest.approx(expected)


def test_a_log_range_gets_a_little_air_and_not_whole_decades() -> None:
    axis = fit(-1.0, 1.0, "log")
    assert (axis.low, axis.high) == pytest.approx((-1.08, 1.08))


def test_a_constant_on_a_log_axis_stands_in_the_middle() -> None:
    axis = fit(-3.0, -3.0, "log")
    assert (axis.low, axis.high) == pytest.approx((-3.15, -2.85))


def test_what_has_no_logarithm_is_unknown() -> None:
    np.testing.assert_array_equal(to_units(np.array([100.0, 0.0, -1.0, np.nan]), "log"), [2.0, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis(0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (Axis(0, 3000), ["0", "1000", "2000", "3000"]),
        (Axis(0, 50_000), ["0", "10k", "20k", "30k", "40k", "50k"]),
        (Axis(11_400, 13_100), ["11.5k", "12.0k", "12.5k", "13.0k"]),
        (Axis(0, 0.004), ["0", "0.001", "0.002", "0.003", "0.004"]),
        (Axis(0, 1.1e-5), ["0", "5e-6", "1e-5"]),
        (Axis(-2, 2), ["-2", "-1", "0", "1", "2"]),
        (Axis(0, 4e6), ["0", "1M", "2M", "3M", "4M"]),
        (Axis(0, 4e20), ["0", "1e20", "2e20", "3e20", "4e20"]),
        (Axis(-1.1, 1.9, "log"), ["0.1", "1", "10"]),
        (Axis(-5.1, -2.9, "log"), ["1e-5", "1e-4", "1e-3"]),
        (Axis(2.9, 6.1, "log"), ["1000", "10k", "100k", "1e6"]),
        (Axis(-1.7, 0.1, "log"), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
        (Axis(-0.51, -0.35, "log"), ["0.35", "0.40"]),
        (Axis(-12, 2, "log"), ["1e-10", "1e-5", "1"]),
    ],
)
def test_ticks_are_round_and_short(axis: Axis, expected: list[str]) -> None:
    assert labels(axis) == expected


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, NUMBERS, st.sampled_from(["linear", "log"]), st.floats(0.02, 0.5))
def test_ticks_of_any_range_are_few_and_on_the_axis(one: float, other: float, scale, apart: float) -> None:
    low, high = sorted(to_units(np.array([one, other]), scale).tolist())
    if np.isnan([low, high]).any():
        return
    for axis in (fit(low, high, scale), exactly(low, high, scale)):
        assert axis.low < axis.high
        places = axis.place(np.array([tick.units for tick in ticks(axis, apart)]))
        assert len(places) <= 1 / apart + 7
        assert ((places > -0.01) & (places < 1.01)).all()
