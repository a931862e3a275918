"""The numbers that a chart says: how many of its points it shows, and what stands at the cursor."""

from collections.abc import Sequence

from fbmon.chart import Curve
from fbmon.chart.axes import Axis
from fbmon.chart.dot_columns import in_sight, value_at
from fbmon.metrics import Chart
from fbmon.store.series import Series
from fbmon.ui.charts.curves import Count
from fbmon.ui.charts.devices_plot import DEVICES
from fbmon.ui.charts.overlay import Overlay
from fbmon.ui.charts.view import Extent, View, sight


def count(runs: Overlay, chart: Chart, view: View) -> Count:
    """Return how many of a chart's points are in sight; on a logarithmic scale those that have no logarithm are not."""
    across = runs.across(view)
    curves = [Curve("", "", across.x(series), series) for series in _series(runs, chart)]
    return counted(curves, runs.extent(view), chart, view)


def counted(curves: Sequence[Curve], extent: Extent, chart: Chart, view: View) -> Count:
    """Return how many of the points of these curves of a chart are in sight."""
    horizontal = Axis(*sight(view, extent))
    scale = view.scales.get(chart.name, chart.scale)
    drawn = sum(in_sight(curve, horizontal, scale) for curve in curves)
    return Count(
        drawn, sum(len(curve.series) for curve in curves), sum(len(curve.series.unknown()) for curve in curves)
    )


def values(runs: Overlay, chart: Chart, view: View) -> list[tuple[str, float | None]]:
    """Return what stands at the cursor: each curve's label, and the value of its last point up to there."""
    if view.cursor is None:
        return []
    across = runs.across(view)
    at = across.at(view.cursor)
    return [(metric.label, value_at(across.x(series), series, at)) for metric, series in runs.series_of(chart)]


def points(runs: Overlay, chart: Chart) -> Series | None:
    """Return the series that the cursor steps along: that of the first curve that has points."""
    return next((series for series in _series(runs, chart) if len(series)), None)


def _series(runs: Overlay, chart: Chart) -> list[Series]:
    if chart is DEVICES:
        return [*runs.store.utilization.values(), *runs.store.memory.values()]
    return [series for _, series in runs.series_of(chart)]
