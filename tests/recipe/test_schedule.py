"""The learning rate against the paper's own table."""

import pytest

from fbmon.recipe import Constant, Cosine, Exponential, MultiStep, Sgd
from fbmon.recipe.schedule import learning_rate

FULL_BATCH = Cosine(name="cosine", warmup=400, horizon=4000)
SGD = Cosine(name="cosine", warmup=5, horizon=300)


def sgd(lr: float) -> Sgd:
    return Sgd(name="sgd", lr=lr)


# Section 1.1: the update, counted from 0, and its learning rate at the peaks 0.4, 0.8 and 1.6.
TABLE = [
    (0, 0, 0, 0),
    (100, 0.1000, 0.2000, 0.4000),
    (400, 0.4000, 0.8000, 1.6000),
    (401, 0.4000, 0.8000, 1.6000),
    (1000, 0.37827, 0.75655, 1.51309),
    (2000, 0.26195, 0.52391, 1.04781),
    (2999, 0.10948, 0.21896, 0.43793),
]
SGD_COLUMN = [(0, 0), (100, 0.07767), (5, 0.1), (6, 0.1), (150, 0.05314), (200, 0.02777), (299, 0.000134)]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"update {row[0]}")
def test_the_full_batch_schedule_is_the_papers_at_every_peak(row: tuple[float, ...]) -> None:
    step, *rates = row
    found = [learning_rate(int(step), FULL_BATCH, sgd(peak)) for peak in (0.4, 0.8, 1.6)]
    assert found == pytest.approx(rates, abs=5.1e-6)


@pytest.mark.parametrize(("step", "rate"), SGD_COLUMN)
def test_the_sgd_schedule_is_the_papers(step: int, rate: float) -> None:
    assert learning_rate(step, SGD, sgd(0.1)) == pytest.approx(rate, abs=5e-7 if step == 299 else 5.1e-6)


def test_without_a_warm_up_the_first_update_has_the_peak_and_the_cosine_begins_there() -> None:
    schedule = Cosine(name="cosine", horizon=4)
    rates = [learning_rate(step, schedule, sgd(2.0)) for step in range(7)]
    assert rates == pytest.approx([2.0, 1 + 0.5**0.5, 1.0, 1 - 0.5**0.5, 0, 0, 0])


def test_the_cosine_stays_at_zero_beyond_its_horizon() -> None:
    assert [learning_rate(step, FULL_BATCH, sgd(0.8)) for step in (4401, 4402, 9999)] == [0, 0, 0]


def test_a_constant_schedule_warms_up_and_stays() -> None:
    schedule = Constant(name="constant", warmup=4)
    assert [learning_rate(step, schedule, sgd(2.0)) for step in (0, 1, 2, 3, 4, 5, 1000)] == [0, 0.5, 1, 1.5, 2, 2, 2]
    assert [learning_rate(step, Constant(name="constant"), sgd(2.0)) for step in (0, 1, 1000)] == [2, 2, 2]


def test_a_floored_cosine_ends_at_its_share_of_the_peak() -> None:
    schedule = Cosine(name="cosine", horizon=4, floor=0.04)
    rates = [learning_rate(step, schedule, sgd(0.1)) for step in (0, 2, 4, 9)]
    assert rates == pytest.approx([0.1, 0.052, 0.004, 0.004])


def test_a_multistep_schedule_drops_at_its_steps_counted_from_the_end_of_the_warm_up() -> None:
    schedule = MultiStep(name="multistep", warmup=2, drops=[3, 5])
    rates = [learning_rate(step, schedule, sgd(1.0)) for step in range(10)]
    assert rates == pytest.approx([0, 0.5, 1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_an_exponential_schedule_shrinks_at_every_step() -> None:
    rates = [learning_rate(step, Exponential(name="exponential", factor=0.5), sgd(8.0)) for step in range(4)]
    assert rates == [8, 4, 2, 1]
