"""Commands to the running trainer: what is done at once, and what when the step is over."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from fbmon import metrics, recipe
from fbmon.events import CheckpointSaved, Command, CommandTaken, Event, ProgressMade, State, StepTaken
from fbmon.recipe import Recipe
from fbmon.train.loop import train
from tests.shell import DEADLINE

MIDDLE = ProgressMade("training", step=2, done=1, total=2)
PAUSE = 0.3  # seconds


@pytest.fixture
def wanted(tiny: Path) -> Recipe:
    return recipe.load(tiny, ["steps=4"])


def run(wanted: Recipe, checkpoints: Path, *commands: Command) -> tuple[State, list[Event]]:
    """How a run ends that gets these commands in the middle of its second step, a pause apart from each other."""
    events: list[Event] = []
    waiting: list[Command] = []
    due: float | None = 0.0

    def emit(event: Event) -> None:
        events.append(replace(event, elapsed=time.perf_counter()) if isinstance(event, StepTaken) else event)

    def next_command() -> CommandTaken | None:
        nonlocal due
        if events[-1] == MIDDLE:
            waiting[:] = commands
        if due is None:  # the command before has been taken
            due = time.monotonic() + PAUSE
        assert due == 0 or time.monotonic() < due + DEADLINE, "a pause that no command has ended"
        if not waiting or time.monotonic() < due:
            return None
        due = None
        return CommandTaken(waiting.pop(0), "the test")

    return train(wanted, "cpu", None, checkpoints, emit, next_command), events


def numbers(events: list[Event]) -> list[dict[str, float | None]]:
    clocks = {metric.name for metric in metrics.STEP if metric.name.endswith(("_seconds", "_second", "flop_share"))}
    steps = [event.values for event in events if isinstance(event, StepTaken)]
    return [{name: value for name, value in step.items() if name not in clocks} for step in steps]


def test_a_pause_changes_no_number_and_is_not_counted_as_time_of_the_step(wanted: Recipe, tmp_path: Path) -> None:
    _, undisturbed = run(wanted, tmp_path / "whole")
    state, events = run(wanted, tmp_path / "paused", "pause", "resume")
    assert state == "finished"
    assert numbers(events) == numbers(undisturbed)
    first, second, *_ = (event for event in events if isinstance(event, StepTaken))
    assert second.values["step_seconds"] is not None
    assert second.elapsed - first.elapsed >= second.values["step_seconds"] + PAUSE


def test_a_paused_run_can_be_stopped(wanted: Recipe, tmp_path: Path) -> None:
    state, events = run(wanted, tmp_path / "stopped", "pause", "stop")
    assert (state, len(numbers(events))) == ("stopped", 1)


def test_a_checkpoint_asked_for_is_saved_when_the_step_is_over_and_the_run_goes_on(
    wanted: Recipe, tmp_path: Path
) -> None:
    state, events = run(wanted, tmp_path / "checkpoints", "checkpoint")
    assert (state, len(numbers(events))) == ("finished", 4)
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [2, 4]
    assert (tmp_path / "checkpoints" / "step-00000002").is_dir()


def test_stopping_after_the_step_takes_it_to_its_end(wanted: Recipe, tmp_path: Path) -> None:
    state, events = run(wanted, tmp_path / "checkpoints", "stop_after_step")
    assert (state, len(numbers(events))) == ("stopped", 2)
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [2]


def test_a_paused_run_that_is_to_stop_after_the_step_takes_it_to_its_end(wanted: Recipe, tmp_path: Path) -> None:
    state, events = run(wanted, tmp_path / "checkpoints", "pause", "stop_after_step")
    assert (state, len(numbers(events))) == ("stopped", 2)
    told = [event.command for event in events if isinstance(event, CommandTaken)]
    assert told == ["pause", "resume", "stop_after_step"]  # so that no screen takes it for paused any more
