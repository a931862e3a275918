"""The charts of a comparison, made of the traces: a curve for each, the one that leads in front."""

from collections.abc import Iterator

from fbmon import metrics
from fbmon.chart import Band, Curve, Plot, Reference, Signs
from fbmon.chart.dot_columns import value_at
from fbmon.metrics import Chart
from fbmon.store.series import Floats, Series
from fbmon.ui.charts.across import X_LABELS, X_UNITS
from fbmon.ui.charts.curves import Count
from fbmon.ui.charts.declared import metric_of
from fbmon.ui.charts.readout import counted
from fbmon.ui.charts.signs import SIGNS
from fbmon.ui.charts.view import View, sight
from fbmon.ui.compare.traces import Trace, Traces

_LEVELS = {
    "grad_norm": ("clip_norm", "clip", "threshold"),
    "val_accuracy": ("target_val_accuracy", "reported", "target"),
}
_MOST_LEVELS = 3


def plot(traces: Traces, chart: Chart, view: View, *, alone: bool = False) -> Plot:
    """A chart as the view asks for it; one that stands alone names all traces, elsewhere the table does."""
    across = traces.across(view)
    return Plot(
        title=chart.title if view.cursor is None else f"{chart.title} @ {view.cursor.step:.0f}",
        curves=tuple(curve for trace in _in_order(traces) for curve in _curves(traces, trace, chart, view, alone)),
        scale=view.scales.get(chart.name, chart.scale),
        x_range=sight(view, traces.extent(view)),
        references=tuple(_references(traces, chart)),
        marks=across.x(traces.store.clipped) if chart.name == "grad_norm" else None,
        y_format=chart.format,
        signs=(*traces.places().signs(metric_of(chart).chart, across, view.events), *_gaps(traces, chart, view)),
        bands=tuple(_bands(traces, chart, view)),
        cursor=None if view.cursor is None else across.at(view.cursor),
        x_unit=X_UNITS[view.axis],
        x_label=X_LABELS[view.axis],
    )


def count(traces: Traces, chart: Chart, view: View) -> Count:
    """Return how many points of all curves of a chart are in sight, of how many."""
    lines = [(trace, line) for trace in traces.traces if (line := traces.line(trace, chart)) is not None]
    curves = [Curve("", "", _x(traces, trace, line, view), line) for trace, line in lines]
    return counted(curves, traces.extent(view), chart, view)


def values(traces: Traces, chart: Chart, view: View) -> list[tuple[str, float | None]]:
    """Return what stands at the cursor, by marker; that of the trace that leads first."""
    if view.cursor is None:
        return []
    at = traces.across(view).at(view.cursor)
    return [
        (trace.marker, value_at(_x(traces, trace, line, view), line, at) if at <= _end(traces, trace, view) else None)
        for trace in reversed(_in_order(traces))
        if (line := traces.line(trace, chart)) is not None
    ]


def _in_order(traces: Traces) -> list[Trace]:
    """Return them as they are drawn, what leads over all others; among those the first of the table in front."""
    behind = [trace for trace in reversed(traces.traces) if trace is not traces.leading]
    return [*behind, traces.leading] if traces.leading else behind


def _curves(traces: Traces, trace: Trace, chart: Chart, view: View, alone: bool) -> Iterator[Curve]:
    line = traces.line(trace, chart)
    if line is None:
        return
    leads = trace is traces.leading
    x, end, named = _x(traces, trace, line, view), _end(traces, trace, view), alone or leads
    if not (metric_of(chart).smooth and view.smoothing):
        yield Curve(trace.label, trace.role, x, line, trace.marker, named=named, end=end)
        return
    if leads:  # the raw curves of many runs would hide all averages
        yield Curve(trace.label, trace.role, x, line, dim=True, named=False)
    smoothed = traces.across(view, trace.stores[0]).smoothed(line, view.smoothing)
    yield Curve(trace.label, trace.role, x, smoothed, trace.marker, named=named, end=end, values=line)


def _x(traces: Traces, trace: Trace, line: Series, view: View) -> Floats:
    return traces.across(view, trace.stores[0]).x(line)


def _end(traces: Traces, trace: Trace, view: View) -> float:
    """Return how far all runs of a trace have come."""
    return min(traces.across(view, store).extent().end for store in trace.stores)


def _bands(traces: Traces, chart: Chart, view: View) -> Iterator[Band]:
    for trace in traces.traces:
        if (band := traces.band(trace, chart)) is not None:
            yield Band(f"{trace.role} dim", _x(traces, trace, band.mean, view), band.low, band.high)


def _gaps(traces: Traces, chart: Chart, view: View) -> Iterator[Signs]:
    """A sign wherever a value of a run is unknown; its curve has a gap there."""
    for trace in traces.traces:
        line = traces.line(trace, chart)
        if line is not None and len(unknown := line.unknown()):
            yield Signs(_x(traces, trace, line, view)[unknown], SIGNS["nonfinite"], "nonfinite")


def _references(traces: Traces, chart: Chart) -> Iterator[Reference]:
    """The clip thresholds, or the reported accuracies, each once."""
    if chart.name not in _LEVELS:
        return
    name, label, role = _LEVELS[chart.name]
    plans = [store.plan for trace in traces.traces for store in trace.stores if store.plan]
    levels = dict.fromkeys(level for plan in plans if (level := getattr(plan, name)) is not None)
    for level in list(levels)[:_MOST_LEVELS]:
        yield Reference(level, f"{label} {metrics.show(chart.name, level)}", role)
