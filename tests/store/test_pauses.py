"""A pause that was asked for: no stall, no time of training, and said wherever a time is told."""

import re
from pathlib import Path

import pytest

from fbmon.cli.lines import last_line
from fbmon.events import CommandTaken, DeviceSampled, Event, RunEnded, RunResumed, RunStarted, StateRestored, StepTaken
from fbmon.run import RunFolder
from fbmon.store import summary
from fbmon.store.store import Store
from fbmon.ui.monitor.app import MonitorApp
from tests.runs import write_run
from tests.ui.monitor.test_monitor import Script, monitor, picture, until

PAUSE, RESUME = (
    CommandTaken("pause", "the screen", elapsed=30.25),
    CommandTaken("resume", "the screen", elapsed=66.25),
)
STEPS: list[Event] = [
    RunStarted("tiny", "tiny", 40, "0", 1),
    *(StepTaken(step, {"loss": 1 / step}, elapsed=float(step)) for step in range(1, 31)),
]
WAITED: list[Event] = [*STEPS, PAUSE, RESUME, StepTaken(31, {}, elapsed=67.0)]


def told(events: list[Event]) -> Store:
    store = Store()
    for event in events:
        store.apply(event)
    return store


@pytest.mark.parametrize(
    "waited",
    [
        WAITED,
        [*STEPS, RunResumed("0", 2, elapsed=30.5), StateRestored(30, elapsed=66.0), StepTaken(31, {}, elapsed=67.0)],
    ],
    ids=["paused", "started again"],
)
def test_a_step_that_was_held_up_on_purpose_has_not_stalled(waited: list[Event]) -> None:
    assert not [note.text for note in told(waited).notes if note.kind == "stall"]


def test_pauses_are_no_time_of_training_and_the_last_line_says_so(tmp_path: Path) -> None:
    ended: list[Event] = [*WAITED, RunEnded("stopped", 130, 31, "by the screen", elapsed=67.0)]
    run = summary.read(write_run(tmp_path, "a", ended))

    assert (run.elapsed, run.seconds, run.slowest) == (67.0, 31.0, 1.0)
    assert "after step 31 of 40 in 1:07 (0:36 of it paused): by the screen" in last_line(
        told(ended), RunFolder(tmp_path / "a")
    )


def test_a_run_that_was_killed_while_it_was_paused_and_goes_on_is_paused_no_more(tmp_path: Path) -> None:
    goes_on: list[Event] = [*STEPS, PAUSE, RunResumed("0", 2, elapsed=31.25), StepTaken(31, {}, elapsed=33.0)]

    assert told(goes_on).paused_since is None
    assert summary.read(write_run(tmp_path, "a", goes_on)).seconds == told(goes_on).elapsed - 1.0


async def test_of_a_paused_run_the_time_goes_on_from_its_newest_sign_and_the_pause_is_told(tmp_path: Path) -> None:
    paused: list[Event] = [*STEPS, PAUSE, DeviceSampled("cpu", 1.0, elapsed=90.25)]
    async with MonitorApp(Script(tmp_path / "tiny-1", paused)).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "● paused" in picture(monitor(pilot)))

        line = picture(monitor(pilot)).split("\n")[1]
        told = re.match(r" elapsed (\d+):(\d\d) \((\d+):(\d\d) of it paused\) · ", line)
        assert told, line
        elapsed, held = (60 * int(told[place]) + int(told[place + 1]) for place in (1, 3))
        # It goes on while one looks, but does not begin again at the pause, 30 s after the start.
        assert elapsed >= 90
        assert elapsed - held in (30, 31)
