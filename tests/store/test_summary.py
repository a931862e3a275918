"""The summary of a journal is what the store makes of it, whatever was kept beside it."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fbmon.compare import fields, select
from fbmon.compare.many import read_all
from fbmon.events import (
    CommandTaken,
    Event,
    NonFiniteFound,
    PhaseEntered,
    RunResumed,
    StateRestored,
    StepTaken,
    Validated,
)
from fbmon.run import RunFolder
from fbmon.run.journal import unseal
from fbmon.store import summary
from fbmon.store.store import Store
from fbmon.store.summary import Digest, Summary
from fbmon.store.summary.cache import read as read_file
from tests.conftest import Ended
from tests.runs import lines, story, write_run

HERE = os.getpid()
MANY = 400  # steps: a journal long enough to be worth keeping the summary of


def accuracies(count: int = MANY) -> list[float]:
    return [((37 * step) % 101) / 101 for step in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that has ended."""
    return write_run(tmp_path, "run", story(accuracies=accuracies(), clipped=range(1, 9)))


def fresh(folder: RunFolder) -> Summary:
    """What the journal comes to, whatever lies beside it."""
    folder.summary.unlink(missing_ok=True)
    return summary.read(folder)


def test_a_journal_comes_to_its_last_lowest_and_highest_values_and_their_steps(tmp_path: Path) -> None:
    events = story(accuracies=(0.5, 0.75, 0.75, 0.25), clipped=(2, 3))
    events[-1:-1] = [NonFiniteFound(5, ["loss"]), CommandTaken("pause", "a shell"), PhaseEntered("training")]

    told = summary.read(write_run(tmp_path, "run", events))

    assert told.metrics["val_accuracy"] == Digest(0.25, 0.25, 4, 0.75, 2, ((1, 0.5), (2, 0.75), (3, 0.75), (4, 0.25)))
    assert told.metrics["val_accuracy"].window_mean() == 0.5625
    assert told.metrics["loss"] == Digest(0.25, 0.25, 4, 1.0, 1, tuple((step, 1 / step) for step in (1, 2, 3, 4)))
    assert told.metrics["grad_norm"] == Digest(None, None, 0, None, 0, ())
    assert (told.step, told.steps, told.clipped_count, told.elapsed, told.slowest) == (4, 4, 2, 40.0, 10.0)
    assert told.ended is not None
    assert told.ended.state == "finished"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(0, 1) | st.none(), min_size=1, max_size=40),
    lost=st.sets(st.integers(0, 130)),
    cuts=st.lists(st.integers(0, 20_000), max_size=4),
)
def test_in_whatever_stretches_a_growing_journal_is_read_it_comes_to_what_the_store_makes_of_it(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    values: list[float | None],
    lost: set[int],
    cuts: list[int],
) -> None:
    monkeypatch.setattr("fbmon.store.summary.cache._WORTH_BYTES", 1)  # keep every stretch
    monkeypatch.setattr("fbmon.store.summary.cache._CHUNK_BYTES", 700)  # and read each in several pieces
    events: list[Event] = []
    for event in story(accuracies=[0.5] * len(values)):
        mine = values[event.step - 1] if isinstance(event, StepTaken) else None
        events.append(
            StepTaken(event.step, {"loss": mine}, elapsed=event.elapsed) if isinstance(event, StepTaken) else event
        )
    text = [b"\xff?\n" if number in lost else line for number, line in enumerate(lines(events).splitlines(True))]
    whole = b"".join(text)
    folder = RunFolder(tmp_path_factory.mktemp("run"))

    for end in [*sorted(min(cut, len(whole)) for cut in cuts), len(whole)]:
        folder.journal.write_bytes(whole[:end])
        grown = summary.read(folder)

    store = Store()
    for line in text:
        if (kept_event := unseal(line.rstrip(b"\n"))) is not None:
            store.apply(kept_event)
    assert grown == fresh(folder)
    assert (grown.step, grown.steps, grown.elapsed) == (store.step, store.steps, store.elapsed)
    assert grown.damaged == sum(line == b"\xff?\n" for line in text)
    series = store.series.get("loss")
    told = grown.metrics.get("loss")
    known = [value for value in values if value is not None]
    assert (told is None) == (series is None)
    if series is not None and told is not None:
        kept = [value for value in series.values.tolist() if value == value]
        assert set(kept) <= set(known)
        assert (told.final, [value for _, value in told.recent]) == (series.last(), kept[-10:])
        assert (told.lowest, told.highest) == (min(kept, default=None), max(kept, default=None))


def test_a_run_that_goes_on_has_neither_ended_nor_paused(tmp_path: Path) -> None:
    before = [*story(state="stopped"), CommandTaken("pause", "a shell")]
    told = summary.read(write_run(tmp_path, "run", [*before, RunResumed("1", 8)]))
    assert (told.ended, told.paused_since) == (None, None)


def test_a_long_journal_is_read_once_and_then_believed_by_its_size_and_time(folder: RunFolder) -> None:
    first = summary.read(folder)
    status = folder.journal.stat()
    folder.journal.write_bytes(b"\0" * status.st_size)
    os.utime(folder.journal, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert summary.read(folder) == first
    assert folder.summary.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_has_grown_is_read_on_and_one_that_was_changed_is_read_anew(folder: RunFolder) -> None:
    summary.read(folder)
    more = lines(story(accuracies=[*accuracies(), 0.25], clipped=range(1, 9)))

    folder.journal.write_bytes(more)
    assert summary.read(folder).metrics["val_accuracy"].final == 0.25
    assert summary.read(folder) == fresh(folder)

    other = lines(story(recipe="other", accuracies=accuracies(900)))
    folder.journal.write_bytes(other)
    assert len(other) > len(more)
    assert summary.read(folder) == fresh(folder)
    folder.journal.write_bytes(more[: len(more) // 2])
    assert summary.read(folder) == fresh(folder)


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"format":1}', "\xff" * 9])
def test_a_damaged_summary_is_no_summary(folder: RunFolder, damage: str) -> None:
    expected = fresh(folder)
    folder.summary.write_text(damage)
    assert summary.read(folder) == expected

    summary.write(folder)
    kept = folder.summary.read_text()
    folder.summary.write_text(kept.replace('"clipped_count":8', '"clipped_count":9'))
    assert "clipped" in kept
    assert summary.read(folder) == expected


def test_a_folder_that_cannot_be_written_in_is_read_all_the_same(folder: RunFolder, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.write_text("mine")
    (folder.path / f".summary.json.{os.getpid()}").symlink_to(planted)

    assert summary.read(folder).step == MANY
    assert planted.read_text() == "mine"

    folder.summary.unlink()
    (folder.path / f".summary.json.{os.getpid()}").mkdir()
    assert summary.read(folder).step == MANY
    assert not folder.summary.exists()


def test_a_run_leaves_its_summary_behind_when_it_ends(finished: dict[str, Ended]) -> None:
    folder = finished["plain"].folder

    kept = json.loads(folder.summary.read_text())

    assert kept["size"] == folder.journal.stat().st_size
    assert kept["summary"]["ended"]["state"] == "finished"


def test_many_long_journals_are_read_by_several_processes_and_the_runs_stay_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fbmon.compare.many._LONG_BYTES", 1)
    monkeypatch.setattr("fbmon.compare.many.cores", lambda: 2)
    folders = [write_run(tmp_path, f"run-{k}", story(accuracies=accuracies(k + 2))) for k in range(5)]
    told: list[int] = []

    runs = read_all([*folders, RunFolder(tmp_path / "none")], told.append)

    assert [run.summary.step for run in runs] == [2, 3, 4, 5, 6, 0]
    assert [run.name for run in runs[:5]] == [folder.name for folder in folders]
    assert told == [5]


def test_of_a_long_journal_that_is_kept_only_its_new_lines_are_long(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary.read(folder)
    line = lines(story(accuracies=[0.5])).splitlines(keepends=True)[2]
    with folder.journal.open("ab") as journal:
        journal.write(line)
    told: list[int] = []

    for long, expected in ((len(line) + 1, []), (len(line), [1])):
        monkeypatch.setattr("fbmon.compare.many._LONG_BYTES", long)
        read_all([folder], told.append)
        assert told == expected


def test_journals_are_read_here_if_a_process_that_was_to_read_them_is_killed(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fbmon.compare.many._LONG_BYTES", 1)
    monkeypatch.setattr("fbmon.compare.many.cores", lambda: 2)
    monkeypatch.setattr(summary, "read", read_or_be_killed)
    short = write_run(tmp_path, "short", story(accuracies=accuracies(2)))

    assert [run.summary.step for run in read_all([folder, short])] == [MANY, 2]


def read_or_be_killed(folder: RunFolder) -> Summary:
    if os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_file(folder)


def test_a_summary_that_a_full_disk_has_no_room_for_is_kept_as_soon_as_there_is_room(folder: RunFolder) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))
    try:
        summary.write(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert summary.unchanged(folder) is None
    assert not list(folder.path.glob(".*"))

    summary.write(folder)

    assert summary.unchanged(folder) == summary.read(folder) != Summary()


def test_steps_that_are_told_again_after_a_resume_count_once_and_its_start_is_no_slow_step(tmp_path: Path) -> None:
    events = story(accuracies=accuracies(12), clipped=(10, 11, 12), state=None)
    again = [replace(event, elapsed=event.elapsed + 1000) for event in events if getattr(event, "step", 0) >= 11]

    whole = summary.read(write_run(tmp_path, "whole", events))
    told = summary.read(write_run(tmp_path, "resumed", [*events, RunResumed("1", 8, elapsed=121.0), *again]))

    assert (told.step, told.clipped_count, told.slowest) == (12, 3, 10.0)
    assert {name: told.metrics[name].recent for name in told.metrics} == {
        name: whole.metrics[name].recent for name in whole.metrics
    }


def test_a_resumed_run_that_is_not_yet_as_far_as_it_was_has_not_clipped_more_steps_than_there_are(
    tmp_path: Path,
) -> None:
    events = story(accuracies=accuracies(12), clipped=range(1, 13), state=None)
    again = [event for event in events if getattr(event, "step", 0) == 4]
    write_run(tmp_path, "a", [*events, RunResumed("1", 8), *again])

    assert [fields.find("clipped").value(run) for run in select(tmp_path, [])] == [1.0]


def test_the_best_is_of_the_steps_that_a_resume_kept_in_whatever_stretches_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fbmon.store.summary.cache._WORTH_BYTES", 1)
    events: list[Event] = story(accuracies=(0.5, 0.6, 0.9), clipped=(2, 3), state=None)
    events += [RunResumed("1", 8), StateRestored(2)]
    again: list[Event] = [
        Validated(2, {"val_accuracy": 0.55, "val_loss": 1.0}),
        StepTaken(3, {"loss": 0.25}, elapsed=40.0),
    ]
    folder = write_run(tmp_path, "run", events)

    back = summary.read(folder)

    assert (back.step, back.clipped_count) == (2, 1)
    assert back.metrics["val_accuracy"] == Digest(0.6, 0.5, 1, 0.6, 2, ((1, 0.5), (2, 0.6)))
    assert back.metrics["loss"].lowest == 0.5

    folder.journal.write_bytes(lines([*events, *again]))
    grown = summary.read(folder)

    assert grown == fresh(folder)
    assert (grown.step, grown.metrics["loss"].lowest) == (3, 0.25)
    assert grown.metrics["val_accuracy"] == Digest(0.55, 0.5, 1, 0.55, 2, ((1, 0.5), (2, 0.55)))
