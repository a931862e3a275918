"""The charts of the monitor, made of the runs: which curves, marks and reference lines each one has."""

from collections.abc import Iterator

from fbmon import metrics
from fbmon.chart import Band, Curve, Plot, Reference, Signs
from fbmon.compare.cut import told_apart
from fbmon.metrics import Chart, Metric
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.text import clean
from fbmon.ui.charts.across import X_LABELS, X_UNITS
from fbmon.ui.charts.declared import compared, metrics_of
from fbmon.ui.charts.devices_plot import DEVICES, device_curves
from fbmon.ui.charts.overlay import Overlay
from fbmon.ui.charts.signs import SIGNS
from fbmon.ui.charts.view import View, sight

_OTHER_ROLES = 4
_NAME = 24  # letters of another run's


def plot(runs: Overlay, chart: Chart, view: View, *, alone: bool = False) -> Plot:
    """Return a chart as the view asks for it; cheap, as curves only refer to series.

    One that stands alone has the other runs in its legend; elsewhere a line under the charts names them.
    """
    across = runs.across(view)
    own = device_curves(runs.store, across) if chart is DEVICES else _own_curves(runs, chart, view)
    return Plot(
        title=chart.title if view.cursor is None else f"{chart.title} @ {view.cursor.step:.0f}",
        curves=(*own, *_other_curves(runs, chart, view, named=alone)),
        scale=view.scales.get(chart.name, chart.scale),
        x_range=sight(view, runs.extent(view)),
        y_range=(0.0, 100.0) if chart is DEVICES else None,
        references=_references(runs.store, chart),
        marks=across.x(runs.store.clipped) if chart is metrics.GRADIENT else None,
        y_format=chart.format,
        signs=(*runs.places().signs(chart, across, view.events), *_gaps(runs, chart, view)),
        bands=tuple(_bands(runs, chart, view)),
        cursor=None if view.cursor is None else across.at(view.cursor),
        x_unit=X_UNITS[view.axis],
        x_label=X_LABELS[view.axis],
    )


def _own_curves(runs: Overlay, chart: Chart, view: View) -> Iterator[Curve]:
    """Yield each metric as its raw curve, dim behind the mean of the seeds or its average if one is shown."""
    for metric, series in runs.series_of(chart):
        front = _front(runs, metric, series, view)
        if front is None:
            yield Curve(metric.label, metric.name, runs.across(view).x(series), series, metric.marker)
        else:
            yield Curve(metric.label, metric.name, runs.across(view).x(series), series, dim=True, named=False)
            yield front


def _front(runs: Overlay, metric: Metric, series: Series, view: View) -> Curve | None:
    across = runs.across(view)
    group = runs.group(metric, view)
    if group is not None:
        label = f"{metric.label}, mean of {len(group.members)}"
        return Curve(label, metric.name, across.x(group.mean), group.mean, metric.marker)
    if not (metric.smooth and view.smoothing):
        return None
    smoothed = across.smoothed(series, view.smoothing)
    return Curve(metric.label, metric.name, across.x(series), smoothed, metric.marker, values=series)


def _other_curves(runs: Overlay, chart: Chart, view: View, *, named: bool) -> Iterator[Curve]:
    names = told_apart([clean(other.name, 400) for other in runs.others], _NAME)
    for number, (other, name) in enumerate(zip(runs.others, names, strict=True)):
        if view.grouped and other.is_seed:
            continue
        across = runs.across(view, other.store)
        for index, metric in enumerate(compared(chart)):
            series = other.store.series.get(metric.name)
            if series is not None:
                label = name + (f" {metric.label}" if len(metrics_of(chart)) > 1 else "")
                role, is_named = f"other_{number % _OTHER_ROLES}", named and not index
                x, end = across.x(series), across.extent().end
                yield Curve(label, role, x, series, other.marker, dim=True, named=is_named, end=end)


def _bands(runs: Overlay, chart: Chart, view: View) -> Iterator[Band]:
    for metric, _ in runs.series_of(chart):
        if (group := runs.group(metric, view)) is not None:
            yield Band(f"{metric.name} dim", runs.across(view).x(group.mean), group.low, group.high)


def _gaps(runs: Overlay, chart: Chart, view: View) -> Iterator[Signs]:
    """Yield a sign for each unknown value; the curve has a gap there."""
    for _, series in runs.series_of(chart):
        if len(unknown := series.unknown()):
            yield Signs(runs.across(view).x(series)[unknown], SIGNS["nonfinite"], "nonfinite")


def _references(store: Store, chart: Chart) -> tuple[Reference, ...]:
    if store.plan is None:
        return ()
    if chart is metrics.GRADIENT and store.plan.clip_norm is not None:
        return (Reference(store.plan.clip_norm, "clip", "threshold"),)
    target = store.plan.target_val_accuracy
    if chart is metrics.ACCURACY and target is not None:
        distance = f", best {store.best.value - target:+.4f}" if store.best else ""
        return (Reference(target, f"reported {target:.4g}{distance}", "target"),)
    return ()
