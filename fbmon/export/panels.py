"""What the pictures of an export show: of one run its charts, of several runs each metric with one curve a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fbmon import metrics
from fbmon.compare import Run
from fbmon.export.columns import Row, names, rows
from fbmon.folder import RunFolder
from fbmon.metrics import Chart, Scale
from fbmon.series import Floats

_COMPARED = ("loss", "val_accuracy", "grad_norm", "val_loss", "accuracy", "full_loss")


@dataclass(frozen=True, eq=False)
class Line:
    """A curve: values over steps, NaN where unknown."""

    label: str
    steps: Floats
    values: Floats
    band: tuple[Floats, Floats] | None = None  # the least and the greatest, where the values are a mean
    told: float | None = None  # in the legend; None: the last value


@dataclass(frozen=True, eq=False)
class Panel:
    """One chart; `levels` are dashed lines with their labels, `marks` the steps that were clipped."""

    title: str
    lines: tuple[Line, ...]
    scale: Scale = "linear"
    levels: tuple[tuple[float, str], ...] = ()
    marks: Floats | None = None
    x_range: tuple[float, float] | None = None  # None: from 0 to the last step


def of(runs: Sequence[Run]) -> list[Panel]:
    """The panels of one run or of several; those of which nothing is known are left out."""
    told = [rows(RunFolder(run.path).journal) for run in runs]
    panels = _of_one(runs[0], told[0]) if len(runs) == 1 else _of_several(runs, told)
    return [panel for panel in panels if panel.lines]


def _of_one(run: Run, told: Sequence[Row]) -> list[Panel]:
    charts = dict.fromkeys(metric.chart for metric in metrics.METRICS)
    clipped = np.array([row.step for row in told if row.clipped], float)
    return [
        Panel(
            chart.title,
            tuple(
                line
                for metric in metrics.METRICS
                if metric.chart is chart and (line := _line(metric.label, metric.name, told))
            ),
            chart.scale,
            _levels([run], chart),
            clipped if chart is metrics.GRADIENT else None,
        )
        for chart in charts
    ]


def _of_several(runs: Sequence[Run], told: Sequence[Sequence[Row]]) -> list[Panel]:
    known = {name for each in told for name in names(each)}
    return [
        Panel(
            f"{metric.chart.title}, {metric.label}",
            tuple(line for run, each in zip(runs, told, strict=True) if (line := _line(run.name, metric.name, each))),
            metric.chart.scale,
            _levels(runs, metric.chart) if metric.name != "accuracy" else (),
        )
        for metric in (metrics.BY_NAME[name] for name in _COMPARED if name in known)
    ]


def _line(label: str, name: str, told: Sequence[Row]) -> Line | None:
    points = [(row.step, row.values[name]) for row in told if name in row.values]
    if all(value is None for _, value in points):
        return None
    steps = np.array([step for step, _ in points], float)
    return Line(label, steps, np.array([np.nan if value is None else value for _, value in points], float))


def _levels(runs: Sequence[Run], chart: Chart) -> tuple[tuple[float, str], ...]:
    """The clip threshold and the reported accuracy, each value once."""
    key, label = {
        metrics.GRADIENT.name: ("clip.norm", "clip"),
        metrics.ACCURACY.name: ("target.val_accuracy", "reported"),
    }.get(chart.name, ("", ""))
    values = dict.fromkeys(run.settings.get(key) for run in runs)
    return tuple((float(value), f"{label} {value:g}") for value in values if isinstance(value, float | int))
