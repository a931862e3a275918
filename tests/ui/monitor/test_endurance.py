"""What a screen has to bear in a day: windows that are dragged, terminals that nobody reads, events without end."""

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.synthetic import write_run
from fbmon.events import StepTaken
from fbmon.process.launch import attach
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from fbmon.ui.monitor.app import MonitorApp
from tests.terminal import Terminal

MIB = 2**20


def append_steps(folder: RunFolder, first: int, last: int) -> None:
    journal = Journal(folder.journal)
    for step in range(first, last + 1):
        journal.append(StepTaken(step, {"loss": 2 / step, "grad_norm": 1 / step}))
    journal.close()


def test_a_thousand_sizes_do_no_harm(screen: Terminal) -> None:
    memory = screen.screen.memory_info().rss
    sizes = random.Random(0)
    for _ in range(1000):
        screen.resize(sizes.randint(1, 250), sizes.randint(1, 80), draw=False)
        time.sleep(0.004)
    screen.resize(80, 24)

    screen.until("● training +tiny-1 +step 30/60")
    assert screen.screen.memory_info().rss < memory + 60 * MIB


def test_a_terminal_that_nobody_reads_costs_no_memory_and_shows_the_present_when_it_is_read(
    screen: Terminal, running: RunFolder
) -> None:
    memory = screen.screen.memory_info().rss
    screen.stalled = True
    for first in range(31, 20_000, 1000):
        append_steps(running, first, first + 999)
        time.sleep(0.1)
    assert screen.screen.memory_info().rss < memory + 25 * MIB

    screen.stalled = False

    screen.until("step 20030/60")


async def test_a_day_of_events_fills_in_within_bounded_memory_while_keys_are_answered(tmp_path: Path) -> None:
    app = MonitorApp(attach(write_run(tmp_path / "day-1", 43_200, 9, seconds_per_step=2)))
    process = psutil.Process()
    async with app.run_test(size=(120, 40)):
        memory, late = process.memory_info().rss, []
        while app.store.ended is None:
            before = time.thread_time()  # not of the clock: on a busy machine others compute meanwhile
            await asyncio.sleep(0.01)
            late.append(time.thread_time() - before)

        assert app.store.step == 43_200
        assert len(app.store.utilization["cpu"]) == 86_400
        assert statistics.median(late) < 0.25  # a few milliseconds on two idle cores
        assert process.memory_info().rss < memory + 40 * MIB  # of which half are the points


def test_an_event_is_on_the_screen_within_the_blink_of_an_eye(screen: Terminal, running: RunFolder) -> None:
    taken = []
    for step in range(31, 51):
        time.sleep(0.15)
        append_steps(running, step, step)
        before = time.monotonic()
        screen.until(f"step {step}/60")
        taken.append(time.monotonic() - before)

    quick = statistics.quantiles(taken, n=4)[0]  # on a busy machine others are late
    assert quick < 0.5  # 0.1 s on two idle cores; if only the clock drew, 0.85


def test_a_journal_that_ends_in_damaged_lines_is_read_to_its_end_and_says_so(
    running: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    with running.journal.open("ab") as file:
        file.write(b"damaged\n" * 50_000)

    screen = terminal("watch", running.path)

    screen.until("● training +tiny-1 +step 30/60")
