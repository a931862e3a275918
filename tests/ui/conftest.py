"""A run that seems to be running, and a screen that shows it."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual._wait import wait_for_idle as until_idle

from fbmon.events import PhaseEntered, RunStarted, StepTaken, TrainingStarted
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from tests.shell import until
from tests.terminal import Terminal

TURNS = 100  # of the event loop: more than the messages have that one key leads to


@pytest.fixture(autouse=True)
def a_key_is_handled_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pilot takes an app for idle that has used no processor for a moment; on a busy machine it has got none."""

    async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
        await until_idle(min_sleep, max_sleep)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    monkeypatch.setattr("textual.app.wait_for_idle", wait_for_idle)
    monkeypatch.setattr("textual.pilot.wait_for_idle", wait_for_idle)


@pytest.fixture
def running(runs_dir: Path) -> Iterator[RunFolder]:
    """A run that is alive as far as anyone can see: its lock is held."""
    folder = RunFolder(runs_dir / "tiny-1")
    folder.inbox.mkdir(parents=True)
    folder.meta.write_text("{}")
    journal = Journal(folder.journal)
    journal.append(RunStarted("tiny-1", "tiny", 60, "0", 1))
    journal.append(PhaseEntered("training"))
    journal.append(TrainingStarted(60, 2, 64, 32, 5142, "1 CPU thread", "float32", 1.0))
    for step in range(1, 31):
        journal.append(StepTaken(step, {"loss": 2 / step}))
    journal.close()
    lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield folder
    os.close(lock)


@pytest.fixture
def screen(running: RunFolder, terminal: Callable[..., Terminal]) -> Terminal:
    """The run on a screen that has drawn its curves."""
    shown = terminal("watch", running.path)
    shown.until("step 30/60")
    until(lambda: "1049" in shown.modes_left())
    return shown
