"""The charts of an export: of one run all that it has, of several runs each metric with one curve a run."""

from collections.abc import Sequence

import numpy as np

from fbmon import metrics
from fbmon.chart import Curve, Plot, Reference
from fbmon.chart.svg import Colours
from fbmon.compare import Run
from fbmon.export.columns import Row, names, rows
from fbmon.folder import RunFolder
from fbmon.metrics import Chart
from fbmon.series import Series

_COMPARED = ("loss", "val_accuracy", "grad_norm", "val_loss", "accuracy", "full_loss")
# Okabe and Ito's colours, which colour-blind readers tell apart, without their yellow, which paper swallows.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_LEVEL = "level"


def of(runs: Sequence[Run]) -> list[tuple[Plot, Colours]]:
    """The plots of one run or of several, with the colours of their curves; none of which nothing is known."""
    told = [rows(RunFolder(run.path).journal) for run in runs]
    plots = _of_one(runs[0], told[0]) if len(runs) == 1 else _of_several(runs, told)
    return [(plot, _colours(plot)) for plot in plots if plot.curves]


def _of_one(run: Run, told: Sequence[Row]) -> list[Plot]:
    charts = dict.fromkeys(metric.chart for metric in metrics.METRICS)
    clipped = np.array([row.step for row in told if row.clipped], float)
    last = float(told[-1].step) if told else 1.0
    return [
        Plot(
            chart.title,
            _curves([(metric.label, metric.name, told) for metric in metrics.METRICS if metric.chart is chart]),
            chart.scale,
            (0.0, max(1.0, last)),
            references=_levels([run], chart),
            marks=clipped if chart is metrics.GRADIENT else None,
        )
        for chart in charts
    ]


def _of_several(runs: Sequence[Run], told: Sequence[Sequence[Row]]) -> list[Plot]:
    known = {name for each in told for name in names(each)}
    last = max((float(each[-1].step) for each in told if each), default=1.0)
    return [
        Plot(
            f"{metric.chart.title}, {metric.label}",
            _curves([(run.name, metric.name, each) for run, each in zip(runs, told, strict=True)]),
            metric.chart.scale,
            (0.0, max(1.0, last)),
            references=_levels(runs, metric.chart) if metric.name != "accuracy" else (),
        )
        for metric in (metrics.BY_NAME[name] for name in _COMPARED if name in known)
    ]


def _curves(wanted: Sequence[tuple[str, str, Sequence[Row]]]) -> tuple[Curve, ...]:
    """A curve for each label, metric and run of which anything is known; colours go by the place among them."""
    made = [(place, label, _series(name, told)) for place, (label, name, told) in enumerate(wanted)]
    return tuple(
        Curve(label, f"curve_{place}", series.steps, series)
        for place, label, series in made
        if len(series.unknown()) < len(series)
    )


def _series(name: str, told: Sequence[Row]) -> Series:
    points = [row for row in told if name in row.values]
    series = Series()
    steps, elapsed = np.array([row.step for row in points], float), np.array([row.elapsed for row in points], float)
    series.extend(steps, elapsed, np.array([row.values[name] for row in points], float))
    return series


def _colours(plot: Plot) -> Colours:
    return {curve.role: _COLOURS[int(curve.role[6:]) % len(_COLOURS)] for curve in plot.curves} | {_LEVEL: "#b00"}


def _levels(runs: Sequence[Run], chart: Chart) -> tuple[Reference, ...]:
    """The clip threshold and the reported accuracy, each value once."""
    key, label = {
        metrics.GRADIENT.name: ("clip.norm", "clip"),
        metrics.ACCURACY.name: ("target.val_accuracy", "reported"),
    }.get(chart.name, ("", ""))
    values = dict.fromkeys(run.settings.get(key) for run in runs)
    return tuple(Reference(float(v), f"{label} {v:g}", _LEVEL) for v in values if isinstance(v, float | int))
