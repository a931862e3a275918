"""Measures a frame of six charts: our raster beside the chart libraries that are installed.

    python -m benchmarks.charts

CPU time, median of n frames, every number of one table from one run. A library that is not installed is left out.
"""

import asyncio
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fbmon.chart import Curve, Plot, draw
from fbmon.chart.smooth import Smoothed
from fbmon.metrics import Scale
from fbmon.store.series import Floats, Series

CHARTS, WIDTH, HEIGHT = 6, 40, 12
POINTS = (1_000, 10_000, 100_000, 1_000_000)
FRAMES, LEAST_FRAMES, SECONDS = 30, 3, 10.0  # up to 30 frames, no new one after 10 s, but at least 3

Frame = Callable[[], object]


def data(points: int) -> list[tuple[Floats, Floats]]:
    """Six noisy falling losses."""
    x = np.arange(points, dtype=np.float64)
    noise = np.random.default_rng(0).random((CHARTS, points))
    return [(x, 2.3 * np.exp(-5 * x / points) + 0.1 + 0.1 * row) for row in noise]


def our_frame(scale: Scale, points: int, smoothing: float = 0.0, charts: int = CHARTS) -> Frame:
    """A smoothed chart has two curves, the raw one behind its average; both are as in the monitor."""
    plots = []
    for x, values in data(points)[:charts]:
        series = Series()
        series.extend(x, x, values)
        raw = Curve("train", "train", series.steps, series, dim=bool(smoothing))
        smooth = Curve("train", "train", series.steps, Smoothed(series, smoothing).update())
        plots.append(Plot("loss", (raw, smooth) if smoothing else (raw,), scale))
    return lambda: [draw(plot, WIDTH, HEIGHT) for plot in plots]


def plotext_frame(points: int) -> Frame:
    figure = import_module("textual_plotext.plot").Plot
    curves = [(x.tolist(), y.tolist()) for x, y in data(points)]

    def frame() -> None:
        for x, y in curves:
            plot = figure()
            plot.plotsize(WIDTH, HEIGHT)
            plot.title("loss")
            plot.plot(x, y, marker="braille", label="train")
            plot.build()

    return frame


async def textual_plot_frame(points: int, stack: AsyncExitStack) -> Frame:
    """Six widgets in an app without a terminal: a widget needs its size before it draws."""
    containers, app_module = import_module("textual.containers"), import_module("textual.app")
    library = import_module("textual_plot")
    plots = [library.PlotWidget() for _ in range(CHARTS)]
    for plot in plots:
        plot.styles.width, plot.styles.height = WIDTH, HEIGHT
    app = type("Bench", (app_module.App,), {"compose": lambda _: [containers.VerticalScroll(*plots)]})()
    pilot = await stack.enter_async_context(app.run_test(size=(WIDTH + 10, CHARTS * HEIGHT)))
    await pilot.pause()
    curves = data(points)

    def frame() -> None:
        for plot, (x, y) in zip(plots, curves, strict=True):
            plot.clear()
            plot.plot(x, y, hires_mode=library.HiResMode.BRAILLE)
            plot.render()

    return frame


def measure(frame: Frame) -> tuple[float, int]:
    """Median CPU milliseconds of a frame, and of how many; the first frame is not counted."""
    frame()
    started = time.monotonic()
    taken: list[float] = []
    while len(taken) < LEAST_FRAMES or (len(taken) < FRAMES and time.monotonic() - started < SECONDS):
        before = time.process_time()
        frame()
        taken.append(1000 * (time.process_time() - before))
    return statistics.median(taken), len(taken)


async def measure_textual_plot(points: int) -> tuple[float, int]:
    async with AsyncExitStack() as stack:
        return measure(await textual_plot_frame(points, stack))


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def rows() -> Iterator[tuple[str, list[tuple[float, int]]]]:
    yield "fbmon, linear axis", [measure(our_frame("linear", points)) for points in POINTS]
    yield "fbmon, log axis", [measure(our_frame("log", points)) for points in POINTS]
    yield "fbmon, log axis, average over raw", [measure(our_frame("log", points, 0.6)) for points in POINTS]
    four = [measure(our_frame("log", points, 0.6, charts=4)) for points in POINTS]
    yield "fbmon, the same, four charts", four
    if installed("textual-plot"):
        yield "textual-plot, linear axis", [asyncio.run(measure_textual_plot(points)) for points in POINTS]
    if installed("textual-plotext"):
        yield "textual-plotext, linear axis", [measure(plotext_frame(points)) for points in POINTS]


def cell(taken: float, frames: int, ours: float) -> str:
    return f"{taken:,.1f} ms ({taken / ours:,.1f}×, n={frames})"


def main() -> None:
    print(f"{CHARTS} charts of {WIDTH}×{HEIGHT} cells, CPU time per frame, median of n frames")
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    for package in ("textual", "textual-plot", "textual-plotext", "plotext"):
        print(f"{package}: {installed(package) or 'not installed, left out'}")
    print("\n| points per chart | " + " | ".join(f"{points:,}" for points in POINTS) + " |")
    print("|---" * (1 + len(POINTS)) + "|")
    ours: list[tuple[float, int]] = []
    for name, taken in rows():
        ours = ours or taken
        cells = [cell(*measured, base) for measured, (base, _) in zip(taken, ours, strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
