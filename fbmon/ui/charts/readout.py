"""The numbers that a chart says: how many of its points it shows, and what stands at the cursor."""

from collections.abc import Sequence
from typing import NamedTuple

from fbmon.chart import Curve
from fbmon.chart.axes import Axis
from fbmon.chart.columns import in_sight, value_at
from fbmon.metrics import Chart
from fbmon.store.series import Series
from fbmon.ui.charts.devices_plot import DEVICES
from fbmon.ui.charts.runs import Runs
from fbmon.ui.charts.view import View, sight


class Count(NamedTuple):
    """The points of the run on the screen: how many are drawn, how many there are, how many are not finite."""

    drawn: int
    all: int
    unknown: int


def count(runs: Runs, chart: Chart, view: View) -> Count:
    """Return how many of a chart's points are in sight; on a logarithmic scale those that have no logarithm are not."""
    across = runs.across(view)
    return counted([Curve("", "", across.x(one), one) for one in _series(runs, chart)], runs, chart, view)


def counted(curves: Sequence[Curve], runs: Runs, chart: Chart, view: View) -> Count:
    """The same of these curves of the chart."""
    horizontal = Axis(*sight(view, runs.extent(view)))
    scale = view.scales.get(chart.name, chart.scale)
    drawn = sum(in_sight(curve, horizontal, scale) for curve in curves)
    return Count(drawn, sum(len(one.series) for one in curves), sum(len(one.series.unknown()) for one in curves))


def values(runs: Runs, chart: Chart, view: View) -> list[tuple[str, float | None]]:
    """Return what stands at the cursor: each curve's label, and the value of its last point up to there."""
    if view.cursor is None:
        return []
    across = runs.across(view)
    at = across.at(view.cursor)
    return [(metric.label, value_at(across.x(one), one, at)) for metric, one in runs.series_of(chart)]


def points(runs: Runs, chart: Chart) -> Series | None:
    """Return those that the cursor steps along: of the first curve that has any."""
    return next((one for one in _series(runs, chart) if len(one)), None)


def _series(runs: Runs, chart: Chart) -> list[Series]:
    if chart is DEVICES:
        return [*runs.store.utilization.values(), *runs.store.memory.values()]
    return [one for _, one in runs.series_of(chart)]
