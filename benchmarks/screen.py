"""Measures the screen: `python -m benchmarks.screen`.

A frame of charts with many points, a new one each frame (CPU time; the picture alone, and as Textual composes it);
the time from an event in the journal to its number in the terminal (wall); a core's share while nothing arrives; and
how much memory an hour of events takes, through a day of them.
"""

import asyncio
import fcntl
import os
import platform
import pty
import random
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
from textual.app import App, ComposeResult

from benchmarks.startup import install
from benchmarks.synthetic import write_run
from fbmon.chart import Curve, Plot, draw
from fbmon.events import StepTaken
from fbmon.metrics import Chart
from fbmon.process.launch import attach
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from fbmon.store.series import Series
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.monitor.app import MonitorApp

SIZE = (160, 48)
FRAMES = 100
EVENTS = 40
IDLE_SECONDS = 10  # of each look: the system counts CPU time in hundredths of a second
IDLE_LOOKS = 3
DAY_SECONDS_A_STEP = 2
SEEN = re.compile(rb"\b(\d+)/1000\b")  # the step in the state line


@dataclass(frozen=True)
class Measured:
    """What was measured, and how often."""

    name: str
    unit: str
    values: list[float]


class Charts(App[None]):
    """Nothing but charts, in columns of equal width."""

    CSS = "Screen { layout: grid; grid-gutter: 0 2; }"

    def __init__(self, charts: int) -> None:
        super().__init__()
        self.views = [ChartView(Chart(f"chart-{number}", "loss", "log")) for number in range(charts)]

    def compose(self) -> ComposeResult:
        self.screen.styles.grid_size_columns = 3 if len(self.views) > 4 else 2
        yield from self.views


def falling(points: int, seed: int) -> Series:
    """A noisy falling loss."""
    values = 2.3 * np.exp(-5 * np.arange(points) / points) + 0.1 + 0.1 * np.random.default_rng(seed).random(points)
    series = Series()
    for step, value in enumerate(values.tolist()):
        series.append(step, step, value)
    return series


async def frames(charts: int, points: int) -> list[Measured]:
    """CPU milliseconds of a frame in which every chart has one more point."""
    every = [falling(points, seed) for seed in range(charts)]
    app = Charts(charts)
    drawn, composed = [], []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        size = app.views[0].size
        for number in range(FRAMES):
            plots = [Plot("loss", (Curve("train", "train", series.steps, series),), "log") for series in every]
            before = time.process_time()
            for plot in plots:
                draw(plot, size.width, size.height)
            drawn.append(1000 * (time.process_time() - before))
            for series in every:
                series.append(points + number, points + number, 0.2)
            plots = [Plot("loss", (Curve("train", "train", series.steps, series),), "log") for series in every]
            before = time.process_time()
            for view, plot in zip(app.views, plots, strict=True):
                view.show(plot)
            app.screen._compositor.render_update(full=True)
            composed.append(1000 * (time.process_time() - before))
    label = f"{charts} charts of {points:,} points, {size.width}x{size.height} cells each"
    return [
        Measured(f"{label}: the picture", "ms CPU", drawn[1:]),
        Measured("the same, as Textual composes it", "ms CPU", composed[1:]),
    ]


@contextmanager
def watched(env: dict[str, str], folder: RunFolder, step: int) -> Iterator[tuple[int, psutil.Process]]:
    """`fbmon watch` on `folder` in a terminal, once it shows `step`: the terminal, and the process of the screen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    command = [sys.executable, "-m", "fbmon", "watch", str(folder.path)]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
    os.close(slave)
    read_until(master, step)
    (screen,) = psutil.Process(process.pid).children()
    try:
        yield master, screen
    finally:
        screen.kill()
        read_until(master, None)
        process.wait()
        os.close(master)


def read_until(master: int, step: int | None, seconds: float = 20.0) -> float:
    """Read the terminal until `step` is shown, or for None to its end; the time at which it was."""
    output = b""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 0.01)[0]:
            continue
        try:
            output = output[-100:] + os.read(master, 1 << 16)
        except OSError:
            return time.monotonic()
        if step is not None and any(int(seen) == step for seen in SEEN.findall(output)):
            return time.monotonic()
    raise TimeoutError(output)


def event_to_screen(env: dict[str, str], folder: RunFolder) -> Measured:
    """Milliseconds from the end of the write of a step to its number in the terminal."""
    taken = []
    pauses = random.Random(0)
    journal = Journal(folder.journal)
    with watched(env, folder, 10) as (master, _):
        for step in range(11, 11 + EVENTS):
            time.sleep(pauses.uniform(0.2, 0.6))
            journal.append(StepTaken(step, {"loss": 2 / step, "grad_norm": 1 / step}))
            written = time.monotonic()
            taken.append(1000 * (read_until(master, step) - written))
    return Measured("from an event in the journal to the screen of fbmon watch", "ms", taken)


def idle(env: dict[str, str], folder: RunFolder, last: int) -> Measured:
    """Per cent of a core while the run is alive and nothing arrives."""
    shares = []
    with watched(env, folder, last) as (master, screen):
        time.sleep(1.5)
        for _ in range(IDLE_LOOKS):
            before, started = sum(screen.cpu_times()[:2]), time.monotonic()
            while time.monotonic() < started + IDLE_SECONDS:
                if select.select([master], [], [], 1)[0]:
                    os.read(master, 1 << 16)
            shares.append(100 * (sum(screen.cpu_times()[:2]) - before) / (time.monotonic() - started))
    return Measured("idle: share of a core", "%", shares)


async def a_day(home: Path) -> Measured:
    """By how many MiB the screen grows in each hour of a day behind the first, told as fast as it can be read."""
    folder = write_run(
        home / "runs" / "day-1", 24 * 3600 // DAY_SECONDS_A_STEP, 20, seconds_per_step=DAY_SECONDS_A_STEP
    )
    app, process, held = MonitorApp(attach(folder)), psutil.Process(), [0.0]
    async with app.run_test(size=SIZE):
        while len(held) <= 24:
            await asyncio.sleep(0.005)
            if app.store.elapsed >= 3600 * len(held):
                held.append(process.memory_info().rss / 2**20)
    grown = [after - before for before, after in pairwise(held[1:])]
    return Measured("24 hours of 20 metrics every 2 s, a sample per second: growth per hour", "MiB", grown)


def running(home: Path) -> RunFolder:
    """A run that has taken ten of a thousand steps and seems to be alive."""
    folder = write_run(home / "runs" / "alive-1", 1000, 9)
    lines = folder.journal.read_bytes().split(b"\n")
    kept = next(number for number, line in enumerate(lines) if b'"StepTaken"' in line and b'"step":10,' in line)
    folder.journal.write_bytes(b"\n".join(lines[: kept + 1]) + b"\n")
    folder.telemetry.unlink()
    fcntl.flock(os.open(folder.lock, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)  # until this process ends
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        env = install(home)
        folder = running(home)
        measured = [event_to_screen(env, folder), idle(env, folder, 10 + EVENTS), asyncio.run(a_day(home))]
    for charts, points in ((6, 1000), (6, 100_000), (4, 1_000_000)):
        measured += asyncio.run(frames(charts, points))
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", end=""
    )
    print(f", Textual {version('textual')}, NumPy {version('numpy')}, {SIZE[0]}x{SIZE[1]} cells\n")
    print("| | median | least to most | n |\n|---|---|---|---|")
    for row in measured:
        least, most = min(row.values), max(row.values)
        print(f"| {row.name} | {statistics.median(row.values):.1f} {row.unit} | {least:.1f} to {most:.1f} | ", end="")
        print(f"{len(row.values)} |")


if __name__ == "__main__":
    main()
