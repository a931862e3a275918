"""What the event list says of a run: told step by step, found in the numbers."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbmon import metrics
from fbmon.events import Analysed, Event, GradientClipped, StateRestored, StepTaken
from fbmon.store.notes import Note
from fbmon.store.notes.recent import LEAST, WINDOW, Recent
from fbmon.store.store import Store


def notes_of(events: Iterable[Event]) -> list[Note]:
    store = Store()
    for event in events:
        store.apply(event)
    return store.notes


def lines(events: Iterable[Event]) -> list[tuple[int, str]]:
    return [(note.step, note.text) for note in notes_of(events)]


def norms(values: Iterable[float | None], threshold: float = float("inf")) -> Iterable[Event]:
    for step, value in enumerate(values, start=1):
        if value is not None and value > threshold:
            yield GradientClipped(step=step, norm=value, threshold=threshold, elapsed=step)
        yield StepTaken(step=step, values={"grad_norm": value}, elapsed=step)


def rates(values: Iterable[float]) -> Iterable[Event]:
    return (StepTaken(step, {"learning_rate": rate}, elapsed=step) for step, rate in enumerate(values, start=1))


def test_a_streak_is_one_note_that_grows_until_it_is_over() -> None:
    assert lines(norms([1.0] * 2000, 0.5)) == [(1, "clipping engaged (norm 1.0000), 2,000 steps in a row")]
    assert lines(norms([1.0] * 2000 + [0.1] * 20, 0.5)) == [(1, "clipping engaged (norm 1.0000), 2,000 steps in a row")]
    assert lines(norms([1.0] * 2000 + [0.1] * 21, 0.5)) == [
        (1, "clipping engaged (norm 1.0000), 2,000 steps in a row, released after step 2000")
    ]


def test_clipping_on_and_off_is_one_note_with_its_share_and_its_longest_streak() -> None:
    found = lines(norms([0.1, 0.6, 0.1, 0.6, 0.9, 0.1, 0.6, *[0.1] * 30, 0.7], 0.5))
    assert found == [
        (2, "clipping engaged (norm 0.6000, up to 0.9000), 4 of 6 steps (67%), 2 in a row, released after step 7"),
        (38, "clipping engaged (norm 0.7000), 1 step"),
    ]


def test_the_share_of_clipped_steps_is_that_of_the_last_fifty() -> None:
    store = Store()
    for event in norms([1.0] * 60 + [0.1] * 45, 0.5):
        store.apply(event)
    share = store.series["clipped_share"].values
    assert share[[0, 59, 60, 104]].tolist() == [1.0, 1.0, 0.98, 0.1]


def test_a_norm_far_above_its_recent_level_is_a_spike_and_its_aftermath_is_part_of_it() -> None:
    assert lines(norms([0.25] * 60 + [48.77, 60.0, 3.0, 2.5] + [0.25] * 60)) == [
        (61, "spike: gradient norm 48.7700, 195 times its recent level 0.2500, up to 60.0000 at step 62")
    ]


def test_a_second_spike_long_after_the_first_is_another() -> None:
    found = lines(norms([0.25] * 60 + [10.0] + [0.25] * 51 + [20.0]))
    assert [step for step, _ in found] == [61, 113]


@pytest.mark.parametrize(
    "values",
    [
        [*[0.25] * (LEAST - 1), 48.0],  # there is no level yet
        [0.25 * 1.03**step for step in range(300)],  # a slow rise
        [0.25, 1.4] * 200,
        [None, 0.25] * 20 + [None],
        [0.0] * 60 + [1.0],
    ],
)
def test_what_is_not_far_above_a_known_level_is_no_spike(values: list[float | None]) -> None:
    assert lines(norms(values)) == []


def test_the_phases_of_a_cosine_with_warm_up_are_its_top_and_its_floor() -> None:
    values = [0.0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.39, 0.35, 0.2, 0.05, *[0.01] * 12]
    assert lines(rates(values)) == [
        (5, "warm-up over, learning rate 0.4"),
        (11, "learning rate stays at 0.01"),
    ]


def test_drops_are_told_each_and_a_fading_tail_is_not_a_hundred_drops() -> None:
    assert lines(rates([0.1] * 20 + [0.01] * 20 + [0.001] * 20)) == [
        (21, "learning rate drops from 0.1 to 0.01"),
        (41, "learning rate drops from 0.01 to 0.001"),
    ]
    cosine = [0.05 * (1 + math.cos(math.pi * step / 50)) for step in range(51)]
    assert lines(rates([0.1] * 20 + cosine)) == [(22, "learning rate falls from 0.1")]


def test_a_restart_of_the_schedule_is_told() -> None:
    assert lines(rates([0.3, 0.2, 0.1, 0.3])) == [(4, "learning rate rises from 0.1")]


def test_a_step_that_came_late_is_a_stall() -> None:
    pauses = [0.5] * 30 + [65.0, 0.5, 4.0]
    times = [sum(pauses[:count]) for count in range(len(pauses) + 1)]
    events = (StepTaken(step, {}, elapsed=at) for step, at in enumerate(times, start=1))
    assert lines(events) == [(32, "stalled: this step took 1:05, others 0.5 s")]


@given(st.lists(st.floats(-100, 100), max_size=3 * WINDOW))
def test_the_level_is_the_median_of_the_window(values: list[float]) -> None:
    recent = Recent()
    for value in values:
        recent.push(value)
    window = sorted(values[-WINDOW:])
    assert recent.level() == (window[len(window) // 2] if len(window) >= LEAST else None)


def sharpnesses(values: Iterable[float | None], limit: float = 10.0) -> Iterable[Event]:
    """Every tenth step is measured, as a run tells it: its sharpness before it, the limit after it."""
    for step, value in zip(range(1, 100_000, 10), values, strict=False):
        yield Analysed(step, {"sharpness": value}, residual=0.001, elapsed=step - 0.5)
        yield StepTaken(step, {"learning_rate": 0.2}, elapsed=step)
        yield Analysed(step, {"stability_limit": limit, "distance": 1.0}, elapsed=step)


def test_a_stay_at_the_edge_of_stability_is_one_note_however_the_sharpness_swings_about_the_limit() -> None:
    assert lines(sharpnesses([2.0, 9.9, 9.99])) == []
    found = lines(sharpnesses([2.0, 10.5, 9.0, 12.0, 8.1, 7.9, 9.0, 11.0]))
    assert found == [
        (11, "edge of stability reached (sharpness 10.5, limit 10), 4 measurements there, up to 12; left at step 51"),
        (71, "edge of stability reached (sharpness 11, limit 10)"),
    ]


def test_a_sharpness_that_the_products_did_not_suffice_for_is_said_to_be_vague_once() -> None:
    vague = [Analysed(step, {"sharpness": 2.0}, residual=0.5) for step in (1, 2)]
    assert lines(vague) == [
        (1, "sharpness 2 is only known to within 0.5: analysis.products allows more products"),
    ]
    assert lines([Analysed(1, {"sharpness": 2.0}, residual=0.05)]) == []


def test_the_time_of_an_analysis_is_no_stall() -> None:
    pauses = [StepTaken(step, {}, elapsed=step) for step in range(1, 31)]
    after = StepTaken(31, {}, elapsed=231.0)
    assert [step for step, text in lines([*pauses, after]) if "stalled" in text] == [31]
    assert lines([*pauses, Analysed(31, {"sharpness": 1.0}, residual=0.0, elapsed=230.0), after]) == []


def test_going_back_to_a_checkpoint_is_no_phase_of_the_learning_rate() -> None:
    rising = [StepTaken(step, {"learning_rate": 0.01 * step}) for step in range(1, 31)]
    falling = [StepTaken(step, {"learning_rate": 0.01 * (61 - step)}) for step in range(31, 51)]
    assert lines([*rising[:20], StateRestored(step=10), *rising[10:]]) == [(10, "resumed from step 10")]
    assert lines([*rising, *falling, StateRestored(step=40), *falling[10:]])[1:] == [(40, "resumed from step 40")]


def test_a_spike_after_a_resume_is_told_also_where_a_later_one_came_before_it() -> None:
    norms = [StepTaken(step, {"grad_norm": 100.0 if step == 70 else 1.0}) for step in range(1, 81)]
    again = [StepTaken(step, {"grad_norm": 50.0 if step == 60 else 1.0}) for step in range(41, 66)]
    spikes = [step for step, text in lines([*norms, StateRestored(step=40), *again]) if "spike" in text]
    assert spikes == [70, 60]


def test_no_number_is_shown_as_a_zero_that_it_is_not_nor_with_digits_that_nobody_reads() -> None:
    shown = [metrics.show("loss", value) for value in (0.0, 0.00002, 0.0005, 2.302585, -0.00002, 2.2e16, None)]
    assert shown == ["0.0000", "2e-05", "0.0005", "2.3026", "-2e-05", "2.2e+16", "–"]
