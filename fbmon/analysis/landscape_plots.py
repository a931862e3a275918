"""Landscapes as charts: every run a curve with its band, the loss above, the accuracy below; a grid as a heat map."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fbmon.analysis.asked import Known, Point
from fbmon.analysis.landscape import Profile, Value, profile, table
from fbmon.chart import Band, Curve, Plot, StyledText
from fbmon.chart.heat import Heat, levels
from fbmon.metrics import Scale
from fbmon.store.series import Floats, Series

MARKERS = "●○△□◇"


@dataclass(frozen=True, eq=False)
class Seen:
    """The known answers about one run's minimum at the requested points; `label` names it."""

    label: str
    step: int
    known: Known
    points: Sequence[Point]


def plots(seen: Sequence[Seen], title: str, scale: Scale, *, paper: str | None = None) -> Iterator[Plot]:
    """Yield the chart of the loss and, unless targets are numbers, that of the accuracy.

    The values are those at the minimum. On paper, where `paper` says what the x-axis counts, every run has its name and
    its band.
    """
    yield _plot(seen, "loss", title, scale, paper)
    if any(answer.get("accuracy") is not None for one in seen for answer in one.known.values()):
        yield _plot(seen, "accuracy", title.replace("loss", "accuracy"), "linear", paper)


def heat_map(seen: Seen, title: str) -> Heat:
    """Return the loss on the grid as a heat map."""
    at, values = table(seen.known, seen.points, "loss")
    return Heat(title, at, values, levels(values))


def legend(labels: Sequence[str]) -> list[StyledText]:
    """Return the marker and the name of each of several runs."""
    return [
        StyledText(f"{MARKERS[number % len(MARKERS)]} {label}", role(number)) for number, label in enumerate(labels)
    ]


def role(number: int) -> str:
    """Return the role of the curve of run `number`."""
    return f"run_{number}"


def _plot(seen: Sequence[Seen], value: Value, title: str, scale: Scale, paper: str | None) -> Plot:
    curves, bands, is_full = [], [], paper is not None or len(seen) == 1
    for number, minimum in enumerate(seen):
        line = profile(minimum.known, minimum.points, value)
        marker = MARKERS[number % len(MARKERS)] if len(seen) > 1 else ""
        curves.append(Curve(minimum.label, role(number), line.at, _series(line.at, line.mean), marker, named=is_full))
        if is_full:  # drawn in dots, the bands of several runs would hide each other
            bands.append(_band(number, line))
    plot = Plot(title, tuple(curves), scale, y_format=".3g", bands=tuple(bands), cursor=0.0)
    return plot if paper is None else replace(plot, y_format=".4g", x_label=paper)


def _band(number: int, line: Profile) -> Band:
    low, high = (_series(line.at, end) for end in (line.low, line.high))
    return Band(f"{role(number)} dim", line.at, low, high)


def _series(at: Floats, values: Floats) -> Series:
    series = Series()
    series.extend(at, np.zeros(len(at)), values)
    return series
