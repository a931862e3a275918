"""A run and the one who started it: the queue is fast, the journal is whole, and both tell the same."""

from pathlib import Path

import pytest

from benchmarks.synthetic import write_run
from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.events import DeviceSampled, Event, StepTaken
from fbmon.process import launch
from fbmon.process.launch import RunHandle
from fbmon.run import RunFolder
from fbmon.run.journal import Tail
from fbmon.store.store import Store
from tests.shell import told, until


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def start(runs_dir: Path, recipe: Path, *overrides: str) -> RunHandle:
    wanted = recipes.load(recipe, overrides)
    return launch.start(folders.create(runs_dir, wanted.name, recipe, recipes.dump(wanted), "cpu", None))


def fold(events: list[Event]) -> Store:
    store = Store()
    for event in events:
        store.apply(event)
    return store


def follow(handle: RunHandle) -> Store:
    return fold([event for batch in handle.follow() for event in batch])


def assert_equal(heard: Store, folder: RunFolder) -> None:
    read = fold(told(folder))
    assert heard.series == read.series
    assert heard.clipped == read.clipped
    assert heard.notes == read.notes
    assert heard.best == read.best
    assert heard.ended == read.ended
    assert heard.step == read.step
    assert (heard.began, heard.plan, heard.phase) == (read.began, read.plan, read.phase)


def test_the_queue_and_the_journal_tell_the_same(tiny: Path, runs_dir: Path) -> None:
    handle = start(runs_dir, tiny)
    heard = follow(handle)

    assert_equal(heard, handle.folder)
    assert heard.step == 40
    assert len(heard.clipped) > 0
    assert heard.ended is not None
    assert heard.ended.state == "finished"


def test_a_screen_that_stalls_until_the_run_is_over_misses_nothing_and_holds_nobody_up(
    tiny: Path, runs_dir: Path
) -> None:
    handle = start(runs_dir, tiny, "steps=250")  # more than a pipe holds
    until(lambda: not handle.alive)

    events = [event for batch in handle.follow() for event in batch]

    assert_equal(fold(events), handle.folder)
    assert [event.step for event in events if isinstance(event, StepTaken)] == list(range(1, 251))


def test_a_long_run_is_told_in_small_batches_with_its_samples_where_they_belong(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "long-1", 3000, 9, seconds_per_step=1.5)
    journal, telemetry = told(folder), Tail(folder.telemetry).read()
    handle = launch.attach(folder)

    batches, left = [], []
    for batch in handle.follow():
        batches.append(batch)
        left.append(handle.unread)

    events = [event for batch in batches for event in batch]
    assert [event for event in events if not isinstance(event, DeviceSampled)] == journal
    assert [event for event in events if isinstance(event, DeviceSampled)] == telemetry
    assert events == sorted(events, key=lambda event: event.elapsed)
    assert max(map(len, batches)) < 1000
    assert left == sorted(left, reverse=True)
    assert left[0] > 0.9
    assert left[-1] == 0
