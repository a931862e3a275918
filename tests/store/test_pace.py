"""How long a run will still take, as the screens say it."""

import msgspec
import pytest

from fbmon.events import CommandTaken, Event, StateRestored, StepTaken, TrainingStarted, Validated
from fbmon.store.store import Store

PLAN = TrainingStarted(300, 1, 1, 1, 1, "cpu", "float32", validation_every=100)


def told(*events: Event, plan: TrainingStarted = PLAN) -> Store:
    store = Store()
    for event in (plan, *events):
        store.apply(event)
    return store


def validated_run(last: int, second: float = 1.0, validation: float = 30.0) -> list[Event]:
    """Steps of one second, and a validation of thirty after steps 1, 101 and so on, up to the step `last`."""
    events: list[Event] = []
    now = 0.0
    for step in range(1, last + 1):
        now += second
        events.append(StepTaken(step, {}, elapsed=now))
        if step % 100 == 1:
            now += validation
            events.append(Validated(step, {"val_accuracy": 0.5}, elapsed=now))
    return events


@pytest.mark.parametrize(("last", "left"), [(3, 297 + 3 * 30), (100, 200 + 3 * 30), (160, 140 + 2 * 30), (299, 1 + 30)])
def test_the_time_left_has_the_validations_to_come_and_no_others(last: int, left: float) -> None:
    store = told(*validated_run(last))
    assert store.seconds_left() == pytest.approx(left)
    assert store.seconds_left_deviation() in (None, pytest.approx(0.0, abs=1e-6))


def test_the_time_left_runs_down_while_a_long_step_is_computed_and_no_farther_than_that_step() -> None:
    steps = [StepTaken(step, {}, elapsed=600.0 * step) for step in range(1, 4)]
    store = told(*steps, plan=msgspec.structs.replace(PLAN, steps=5))
    assert [store.seconds_left(1800.0 + passed) for passed in (0, 300, 600, 5000)] == [1200, 900, 600, 600]


def test_a_pause_is_no_part_of_the_pace_and_the_steps_before_it_still_are() -> None:
    steps = [StepTaken(step, {}, elapsed=2.0 * step) for step in range(1, 21)]
    pause = CommandTaken("pause", "the screen", elapsed=41.0)
    over = CommandTaken("resume", "the screen", elapsed=1041.0)
    plan = msgspec.structs.replace(PLAN, validation_every=0)
    assert told(*steps, pause, over, plan=plan).seconds_left(1041.0) == pytest.approx(2 * 280 - 1)
    after = told(*steps, pause, over, StepTaken(21, {}, elapsed=1042.0), plan=plan)
    assert after.seconds_left() == pytest.approx(2 * 279)


def test_after_a_resume_the_pace_is_that_of_the_machine_it_goes_on_on() -> None:
    again: list[Event] = [
        StateRestored(102, elapsed=500.0),
        StepTaken(103, {}, elapsed=509.0),
        StepTaken(104, {}, elapsed=518.0),
    ]
    assert told(*validated_run(160), *again).seconds_left() == pytest.approx(196 * 9)
