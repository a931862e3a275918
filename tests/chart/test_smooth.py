"""Smoothing against TensorBoard's loop, and the mean of several runs against plain sums; both as the series grow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.chart.mean_band import MeanBand
from fbmon.chart.smooth import CHUNK, Smoothed
from fbmon.store.series import Series
from tests.chart.make import series

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=40)


def tensorboard(values: list[float | None], weight: float) -> list[float]:
    """resmooth of TensorBoard's line chart, in Python."""
    last, count, smoothed = 0.0, 0, []
    for value in values:
        if value is None:
            smoothed.append(float("nan"))
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        smoothed.append(last / (1 - weight**count))
    return smoothed


@settings(deadline=None, max_examples=100)
@given(st.lists(VALUES, max_size=5), st.sampled_from([0.0, 0.3, 0.6, 0.9, 0.99]))
def test_the_average_is_tensorboards_however_the_points_come(parts: list[list[float | None]], weight: float) -> None:
    source = Series()
    smoothed = Smoothed(source, weight)
    for part in parts:
        for value in part:
            source.append(len(source), 0.0, value)
        smoothed.update()
    values = [value for part in parts for value in part]
    np.testing.assert_allclose(smoothed.series.values, tensorboard(values, weight), rtol=1e-9, atol=1e-6)


def test_the_average_of_more_points_than_one_product_takes_is_the_same() -> None:
    values = [float(np.sin(step / 9)) + 2 for step in range(3 * CHUNK + 7)]
    smoothed = Smoothed(series(values), 0.99).update()
    np.testing.assert_allclose(smoothed.values, tensorboard(list(values), 0.99), rtol=1e-12)
    assert smoothed.steps.tolist() == list(range(len(values)))


def test_the_first_value_is_itself_and_not_a_part_of_it() -> None:
    assert Smoothed(series([5.0, 5.0, 5.0]), 0.9).update().values.tolist() == pytest.approx([5, 5, 5])


def test_a_group_has_the_mean_and_the_band_of_the_steps_that_all_members_have() -> None:
    ahead, behind = series([1, 2, 3, 4]), series([3, 4, None], [0, 1, 3])
    group = MeanBand((ahead, behind))
    group.update()
    assert group.mean.steps.tolist() == [0, 1, 3]
    assert group.mean.values.tolist() == pytest.approx([2, 3, np.nan], nan_ok=True)
    assert group.low.values.tolist() == pytest.approx([1, 2, np.nan], nan_ok=True)
    assert group.high.values.tolist() == pytest.approx([3, 4, np.nan], nan_ok=True)

    ahead.append(4, 0.0, 6.0)
    group.update()
    assert len(group.mean) == 3, "one member has not come so far"
    behind.append(4, 0.0, 8.0)
    group.update()
    assert (group.mean.steps[-1], group.mean.values[-1], group.low.values[-1], group.high.values[-1]) == (4, 7, 6, 8)
