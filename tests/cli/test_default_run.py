"""The run that a command is about if none is named."""

import fcntl
import os
from pathlib import Path

import pytest

from fbmon.cli.default_run import run_or_newest
from fbmon.events import Event, PhaseEntered, RunEnded, RunStarted
from tests.runs import story, write_run
from tests.shell import Fbmon


@pytest.fixture
def runs(runs_dir: Path) -> Path:
    """Two runs that finished, then one that failed before its first step."""
    failed: list[Event] = [
        RunStarted("r", "small", 3, "1", 7),
        PhaseEntered("loading data"),
        RunEnded("failed", 1, 0, "no data"),
    ]
    stories: dict[str, list[Event]] = {"first": story(), "second": story(), "third": failed}
    for hour, (name, events) in enumerate(stories.items()):
        folder = write_run(runs_dir, name, events, ["steps=2"])  # as many as they took
        os.utime(folder.meta, (1.7e9 + 3600 * hour,) * 2)
    return runs_dir


def test_a_run_that_failed_before_its_first_step_is_not_the_one_that_is_meant(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_or_newest(runs, None).name == "second"
    assert capsys.readouterr().err == "second: the newest run that has taken a step (third is newer)\n"
    assert run_or_newest(runs, None, running_first=True).name == "second"
    assert run_or_newest(runs, "third").name == "third"


def test_where_nothing_has_taken_a_step_the_newest_is_meant_without_a_word(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(runs_dir, "only", [RunStarted("r", "small", 3, "1", 7)])
    assert run_or_newest(runs_dir, None).name == "only"
    assert capsys.readouterr().err == ""


def test_who_watches_means_a_run_that_is_running(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (runs / "first" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run_or_newest(runs, None, running_first=True).name == "first"
        assert capsys.readouterr().err == "first: the newest run that is running (third is newer)\n"
        assert run_or_newest(runs, None).name == "second", "to go on with"


def test_watch_and_resume_say_which_run_they_have_taken(runs: Path, fbmon: Fbmon) -> None:
    for command in (["watch", "--no-ui"], ["resume"]):
        said = fbmon(*command)
        assert said.returncode == 0
        assert said.stderr == "second: the newest run that has taken a step (third is newer)\n"
