"""Landscapes as charts: every run a curve with its band, the loss above, the accuracy below; a grid as a heat map."""

from collections.abc import Iterator, Sequence

import numpy as np

from fbmon.chart import Band, Curve, Plot, Run
from fbmon.chart.heat import Heat, levels
from fbmon.metrics import Scale
from fbmon.minimum.asked import Known, Point
from fbmon.minimum.landscape import Profile, Value, profile, table
from fbmon.series import Floats, Series

MARKERS = "●○△□◇"


def plots(seen: Sequence[tuple[str, Known, Sequence[Point]]], title: str, scale: Scale) -> Iterator[Plot]:
    """The chart of the loss and that of the accuracy; `seen` has the label of each run, its answers and its points."""
    yield _plot(seen, "loss", title, scale)
    yield _plot(seen, "accuracy", title.replace("loss", "accuracy"), "linear")


def heat_map(label: str, title: str, known: Known, points: Sequence[Point]) -> Heat:
    """The loss on the grid."""
    at, values = table(known, points, "loss")
    return Heat(f"{title}: {label}", at, values, levels(values))


def legend(labels: Sequence[str]) -> list[Run]:
    """The marker and the name of each of several runs."""
    return [Run(f"{MARKERS[number % len(MARKERS)]} {label}", role(number)) for number, label in enumerate(labels)]


def role(number: int) -> str:
    """The role of the curve of run `number`."""
    return f"run_{number}"


def _plot(seen: Sequence[tuple[str, Known, Sequence[Point]]], value: Value, title: str, scale: Scale) -> Plot:
    curves, bands = [], []
    for number, (label, known, points) in enumerate(seen):
        found = profile(known, points, value)
        marker = MARKERS[number % len(MARKERS)] if len(seen) > 1 else ""
        curves.append(Curve(label, role(number), found.at, _series(found.at, found.mean), marker, named=len(seen) == 1))
        if len(seen) == 1:  # several would hide each other
            bands.append(_band(number, found))
    return Plot(title, tuple(curves), scale, y_format=".3g", bands=tuple(bands))


def _band(number: int, found: Profile) -> Band:
    low, high = (_series(found.at, end) for end in (found.low, found.high))
    return Band(f"{role(number)} dim", found.at, low, high)


def _series(at: Floats, values: Floats) -> Series:
    series = Series()
    series.extend(at, np.zeros(len(at)), values)
    return series
