"""Where a run stands is the same for a screen and for a table, however its journal is read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fbmon.events import (
    CommandTaken,
    Event,
    GradientClipped,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.run import RunFolder
from fbmon.run.journal_columns import read
from fbmon.store import summary
from fbmon.store.store import Store
from fbmon.store.timeline import Timeline, is_silent
from tests.runs import lines, write_run

STARTED: list[Event] = [
    RunStarted("r", "r", 9, "1", 7),
    TrainingStarted(9, 2, 64, 32, 9, "cpu", "float32", 0.25, elapsed=1.0),
]


def steps(first: int, last: int, elapsed: float) -> list[Event]:
    """Every second one is clipped, in two updates of its own."""
    events: list[Event] = []
    for step in range(first, last + 1):
        elapsed += 1.0
        events += [GradientClipped(step, 2.5, 0.25, elapsed=elapsed)] * (2 if step % 2 == 0 else 0)
        events.append(StepTaken(step, {"loss": 1 / step}, elapsed=elapsed))
    return events


PAUSED: list[Event] = [*STARTED, *steps(1, 4, 1.0), CommandTaken("pause", "a shell", elapsed=6.0)]
WENT_ON: list[Event] = [*PAUSED, CommandTaken("resume", "a shell", elapsed=16.0), *steps(5, 6, 16.0)]
ABANDONED: list[Event] = [
    *WENT_ON,
    CommandTaken("pause", "a shell", elapsed=20.0),
    RunResumed("1", 8, elapsed=25.0),
    StateRestored(3, elapsed=26.0),
    Validated(3, {"val_accuracy": 0.5}, elapsed=26.0),
    *steps(4, 4, 26.0),
]
RESTARTED: list[Event] = [
    *PAUSED,
    RunRestarted(4, "a rank was killed", 1, 2, elapsed=8.0),
    StateRestored(4, elapsed=9.0),
    RunEnded("finished", 0, 4, elapsed=10.0),
]
Reading = Callable[[RunFolder, list[Event]], Timeline]


def one_by_one(_folder: RunFolder, events: list[Event]) -> Timeline:
    store = Store()
    for event in events:
        store.apply(event)
    return store


def at_once(_folder: RunFolder, events: list[Event]) -> Timeline:
    store = Store()
    store.apply_stretch(read(lines(events)))
    return store


def as_a_table(folder: RunFolder, _events: list[Event]) -> Timeline:
    return summary.read(folder)


@pytest.mark.parametrize("reading", [one_by_one, at_once, as_a_table])
@pytest.mark.parametrize(
    ("events", "step", "clipped", "share", "paused", "is_paused", "has_ended"),
    [
        (PAUSED, 4, 2, 0.5, 0.0, True, False),
        (WENT_ON, 6, 3, 0.5, 10.0, False, False),
        (ABANDONED, 4, 2, 0.5, 15.0, False, False),
        (RESTARTED, 4, 2, 0.5, 2.0, False, True),
    ],
    ids=["paused", "went on", "abandoned", "restarted"],
)
def test_pauses_clipped_steps_and_the_end_are_the_same_for_screens_and_tables(
    reading: Reading,
    events: list[Event],
    step: int,
    clipped: int,
    share: float,
    paused: float,
    is_paused: bool,
    has_ended: bool,
    runs_dir: Path,
) -> None:
    run = reading(write_run(runs_dir, "a", events), events)

    assert (run.step, run.clipped_count, run.clipped_share()) == (step, clipped, share)
    assert (run.paused_before, run.paused_since is not None, run.ended is not None) == (paused, is_paused, has_ended)
    assert run.elapsed == events[-1].elapsed


def test_a_run_is_silent_after_a_minute_or_three_of_its_slowest_steps() -> None:
    assert [is_silent(seconds) for seconds in (60.0, 60.5)] == [False, True]
    assert [is_silent(seconds, slowest_step=30.0) for seconds in (90.0, 90.5)] == [False, True]
