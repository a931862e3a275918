"""The charts of a comparison, made of the lanes: a curve for each, the one that leads in front."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fbmon import metrics
from fbmon.chart import Band, Curve, Plot, Reference, Signs
from fbmon.chart.columns import value_at
from fbmon.metrics import Chart
from fbmon.store.series import Floats, Series
from fbmon.ui.charts.across import X_LABELS, X_UNITS
from fbmon.ui.charts.declared import metric_of
from fbmon.ui.charts.readout import Count, counted
from fbmon.ui.charts.signs import SIGNS
from fbmon.ui.charts.view import View, sight

if TYPE_CHECKING:
    from fbmon.ui.compare.lanes import Lane, Lanes

_LEVELS = {
    "grad_norm": ("clip_norm", "clip", "threshold"),
    "val_accuracy": ("target_val_accuracy", "reported", "target"),
}
_MOST_LEVELS = 3


def plot(lanes: "Lanes", chart: Chart, view: View, *, alone: bool = False) -> Plot:
    """A chart as the view asks for it; one that stands alone names all lanes, elsewhere the table does."""
    across = lanes.across(view)
    return Plot(
        title=chart.title if view.cursor is None else f"{chart.title} @ {view.cursor.step:.0f}",
        curves=tuple(curve for lane in _in_order(lanes) for curve in _curves(lanes, lane, chart, view, alone)),
        scale=view.scales.get(chart.name, chart.scale),
        x_range=sight(view, lanes.extent(view)),
        references=tuple(_references(lanes, chart)),
        marks=across.x(lanes.store.clipped) if chart.name == "grad_norm" else None,
        y_format=chart.format,
        signs=(*lanes.places().signs(metric_of(chart).chart, across, view.events), *_gaps(lanes, chart, view)),
        bands=tuple(_bands(lanes, chart, view)),
        cursor=None if view.cursor is None else across.at(view.cursor),
        x_unit=X_UNITS[view.axis],
        x_label=X_LABELS[view.axis],
    )


def count(lanes: "Lanes", chart: Chart, view: View) -> Count:
    """Return how many points of all curves of a chart are in sight, of how many."""
    lines = [(lane, line) for lane in lanes.lanes if (line := lanes.line(lane, chart)) is not None]
    curves = [Curve("", "", _x(lanes, lane, line, view), line) for lane, line in lines]
    return counted(curves, lanes.extent(view), chart, view)


def values(lanes: "Lanes", chart: Chart, view: View) -> list[tuple[str, float | None]]:
    """Return what stands at the cursor, by marker; that of the lane that leads first."""
    if view.cursor is None:
        return []
    at = lanes.across(view).at(view.cursor)
    return [
        (lane.marker, value_at(_x(lanes, lane, line, view), line, at) if at <= _end(lanes, lane, view) else None)
        for lane in reversed(_in_order(lanes))
        if (line := lanes.line(lane, chart)) is not None
    ]


def _in_order(lanes: "Lanes") -> "list[Lane]":
    """Return them as they are drawn, what leads over all others; among those the first of the table in front."""
    behind = [lane for lane in reversed(lanes.lanes) if lane is not lanes.leading]
    return [*behind, lanes.leading] if lanes.leading else behind


def _curves(lanes: "Lanes", lane: "Lane", chart: Chart, view: View, alone: bool) -> Iterator[Curve]:
    line = lanes.line(lane, chart)
    if line is None:
        return
    leads = lane is lanes.leading
    x, end, named = _x(lanes, lane, line, view), _end(lanes, lane, view), alone or leads
    if not (metric_of(chart).smooth and view.smoothing):
        yield Curve(lane.label, lane.role, x, line, lane.marker, named=named, end=end)
        return
    if leads:  # the raw curves of many runs would hide all averages
        yield Curve(lane.label, lane.role, x, line, dim=True, named=False)
    smoothed = lanes.across(view, lane.stores[0]).smoothed(line, view.smoothing)
    yield Curve(lane.label, lane.role, x, smoothed, lane.marker, named=named, end=end, values=line)


def _x(lanes: "Lanes", lane: "Lane", line: Series, view: View) -> Floats:
    return lanes.across(view, lane.stores[0]).x(line)


def _end(lanes: "Lanes", lane: "Lane", view: View) -> float:
    """Return how far all runs of a lane have come."""
    return min(lanes.across(view, store).extent().end for store in lane.stores)


def _bands(lanes: "Lanes", chart: Chart, view: View) -> Iterator[Band]:
    for lane in lanes.lanes:
        if (band := lanes.band(lane, chart)) is not None:
            yield Band(f"{lane.role} dim", _x(lanes, lane, band.mean, view), band.low, band.high)


def _gaps(lanes: "Lanes", chart: Chart, view: View) -> Iterator[Signs]:
    """A sign wherever a value of a run is unknown; its curve has a gap there."""
    for lane in lanes.lanes:
        line = lanes.line(lane, chart)
        if line is not None and len(unknown := line.unknown()):
            yield Signs(_x(lanes, lane, line, view)[unknown], SIGNS["nonfinite"], "nonfinite")


def _references(lanes: "Lanes", chart: Chart) -> Iterator[Reference]:
    """The clip thresholds, or the reported accuracies, each once."""
    if chart.name not in _LEVELS:
        return
    name, label, role = _LEVELS[chart.name]
    plans = [store.plan for lane in lanes.lanes for store in lane.stores if store.plan]
    levels = dict.fromkeys(level for plan in plans if (level := getattr(plan, name)) is not None)
    for level in list(levels)[:_MOST_LEVELS]:
        yield Reference(level, f"{label} {metrics.show(chart.name, level)}", role)
