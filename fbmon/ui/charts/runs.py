"""The run on the screen and those over it, on one x-axis. What was worked out is kept from frame to frame."""

import re
from collections.abc import Iterable

from fbmon import metrics
from fbmon.chart.group import Group
from fbmon.metrics import Chart, Metric
from fbmon.store.notes import Note
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.text import clean
from fbmon.ui.charts.across import Across
from fbmon.ui.charts.devices_plot import DEVICES
from fbmon.ui.charts.other import Other
from fbmon.ui.charts.signs import Places
from fbmon.ui.charts.view import Extent, View

_MOST_UNDECLARED = 24  # charts of metrics that this version does not know


class Runs:
    """The run of `store`, which the charts are about, and `others`, which lie over it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.others: list[Other] = []
        self._across: dict[int, Across] = {}
        self._groups: dict[str, Group] = {}
        self._places = Places()

    def charts(self) -> list[Chart]:
        """Return those that have a curve; before the first step those that every run will have."""
        told = self.store.series
        if not told:
            return [*dict.fromkeys(metric.chart for metric in metrics.STEP), DEVICES]
        declared = [chart for chart in metrics.CHARTS if any(metric.name in told for metric in metrics_of(chart))]
        return [*declared, *undeclared(told), DEVICES]

    def series_of(self, chart: Chart) -> list[tuple[Metric, Series]]:
        """Return what the run on the screen has told for a chart."""
        series = self.store.series
        return [(metric, series[metric.name]) for metric in metrics_of(chart) if metric.name in series]

    def across(self, view: View, store: Store | None = None) -> Across:
        """The x-axis of a run, of the one on the screen if no other is named."""
        store = self.store if store is None else store
        known = self._across.get(id(store))
        if known is None or known.axis != view.axis:
            known = self._across[id(store)] = Across(store, view.axis)
        return known

    def extent(self, view: View) -> Extent:
        """The whole x-axis: that of the run on the screen, or of one over it that has come farther."""
        extents = [self.across(view, store).extent() for store in self._stores()]
        low, high = min(one.low for one in extents), max(one.high for one in extents)
        return extents[0]._replace(low=low, high=high)

    def group(self, metric: Metric, view: View) -> Group | None:
        """The run on the screen and its other seeds; None where there are none or each stands for itself."""
        seeds = [other.store.series.get(metric.name) for other in self.others if other.is_seed]
        members = (self.store.series[metric.name], *(one for one in seeds if one is not None))
        if not view.grouped or len(members) < 2 or metric not in compared(metric.chart):
            return None
        known = self._groups.get(metric.name)
        if known is None or [id(one) for one in known.members] != [id(one) for one in members]:
            known = self._groups[metric.name] = Group(members)
        known.update()
        return known

    def notes(self) -> list[Note]:
        """Return what happened in the run on the screen."""
        return self.store.notes

    def places(self) -> Places:
        """Return where the notes stand."""
        self._places.update(self.notes())
        return self._places

    def clear(self) -> None:
        """Take the other runs away, and what was worked out of them."""
        self.others = []
        self._groups = {}
        self._across = {id(self.store): one for one in self._across.values() if one.store is self.store}

    def _stores(self) -> list[Store]:
        return [self.store, *(other.store for other in self.others)]


def undeclared(told: Iterable[str]) -> list[Chart]:
    """A chart for each metric that this version does not know, up to a number."""
    unknown = [name for name in told if name not in metrics.BY_NAME]
    return [Chart(name, clean(name, 40)) for name in unknown[:_MOST_UNDECLARED]]


def metrics_of(chart: Chart) -> list[Metric]:
    """The metrics of a chart; that of a chart which nobody declared has its name."""
    return [metric for metric in metrics.METRICS if metric.chart == chart] or [Metric(chart.name, chart.title, chart)]


def matching(charts: list[Chart], text: str) -> list[Chart]:
    """The charts whose name or title, or a name of whose metrics, has `text` in it, or matches it as a regex."""
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error:
        pattern = re.compile(re.escape(text), re.IGNORECASE)
    return [chart for chart in charts if any(map(pattern.search, _names(chart)))]


def _names(chart: Chart) -> list[str]:
    return [chart.name, chart.title, *(name for one in metrics_of(chart) for name in (one.name, one.label))]


def compared(chart: Chart) -> list[Metric]:
    """Return what of a chart is shown of other runs too: its first metric and the validation."""
    shown = metrics_of(chart)
    return [metric for metric in shown if metric is shown[0] or metric in metrics.VALIDATION]
