"""The charts of an export: all charts of one run, or, of several runs, each metric with one curve per run."""

from collections.abc import Sequence

import numpy as np

from fbmon import metrics
from fbmon.chart import Curve, Plot, Reference
from fbmon.compare import Run
from fbmon.export.rows import StepRow, names, read_rows
from fbmon.metrics import Chart
from fbmon.run import RunFolder
from fbmon.store.series import Series

_COMPARED = ("loss", "val_accuracy", "grad_norm", "val_loss", "accuracy", "full_loss")


def of(runs: Sequence[Run]) -> list[Plot]:
    """Return the plots of one run or of several; those without any values are left out."""
    rows_by_run = [read_rows(RunFolder(run.path).journal) for run in runs]
    plots = _of_one(runs[0], rows_by_run[0]) if len(runs) == 1 else _of_several(runs, rows_by_run)
    return [plot for plot in plots if any(len(curve.x) for curve in plot.curves)]


def _of_one(run: Run, rows: Sequence[StepRow]) -> list[Plot]:
    clipped = np.array([row.step for row in rows if row.clipped], float)
    return [
        Plot(
            chart.title,
            tuple(
                curve
                for metric in metrics.METRICS
                if metric.chart is chart and len((curve := _curve(metric.label, metric.name, rows)).x)
            ),
            chart.scale,
            _steps([rows]),
            references=_levels([run], chart),
            marks=clipped if chart is metrics.GRADIENT else None,
            x_label="step",
        )
        for chart in metrics.CHARTS
    ]


def _of_several(runs: Sequence[Run], rows_by_run: Sequence[Sequence[StepRow]]) -> list[Plot]:
    """Return plots that all have a curve, perhaps an empty one, for each run: so its look is the same in all."""
    present = {name for rows in rows_by_run for name in names(rows)}
    return [
        Plot(
            f"{metric.chart.title}, {metric.label}",
            tuple(_curve(run.name, metric.name, rows) for run, rows in zip(runs, rows_by_run, strict=True)),
            metric.chart.scale,
            _steps(rows_by_run),
            references=_levels(runs, metric.chart) if metric.name != "accuracy" else (),
            x_label="step",
        )
        for metric in (metrics.BY_NAME[name] for name in _COMPARED if name in present)
    ]


def _steps(rows_by_run: Sequence[Sequence[StepRow]]) -> tuple[float, float]:
    return 0.0, max([1.0, *(float(rows[-1].step) for rows in rows_by_run if rows)])


def _curve(label: str, name: str, rows: Sequence[StepRow]) -> Curve:
    """Return the curve of a metric, empty if no value is known."""
    points = [row for row in rows if name in row.values]
    if all(row.values[name] is None for row in points):
        points = []
    columns = [[row.step for row in points], [row.elapsed for row in points], [row.values[name] for row in points]]
    series = Series()
    series.extend(*(np.array(column, float) for column in columns))
    return Curve(label, "", series.steps, series)


def _levels(runs: Sequence[Run], chart: Chart) -> tuple[Reference, ...]:
    """Return the clip threshold or the reported accuracy, each value once."""
    key, label = {
        metrics.GRADIENT.name: ("clip.norm", "clip"),
        metrics.ACCURACY.name: ("target.val_accuracy", "reported"),
    }.get(chart.name, ("", ""))
    values = dict.fromkeys(run.settings.get(key) for run in runs)
    numbers = [value for value in values if isinstance(value, float | int)]
    return tuple(Reference(float(value), f"{label} {value:g}", "") for value in numbers)
