"""The run on the screen and those over it, on one x-axis. What was worked out is kept from frame to frame."""

from fbmon import metrics
from fbmon.chart.mean_band import MeanBand
from fbmon.metrics import Chart, Metric
from fbmon.store.notes import Note
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.ui.charts.across import Across
from fbmon.ui.charts.curves import Axes
from fbmon.ui.charts.declared import compared, metrics_of, undeclared
from fbmon.ui.charts.devices_plot import DEVICES
from fbmon.ui.charts.other import Other
from fbmon.ui.charts.signs import Places
from fbmon.ui.charts.view import Extent, View


class Overlay:
    """The run of `store`, which the charts are about, and `others`, which lie over it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.others: list[Other] = []
        self._axes = Axes()
        self._groups: dict[str, MeanBand] = {}
        self._places = Places()

    def charts(self) -> list[Chart]:
        """Return the charts that have a curve; before the first step those that every run will have."""
        names = self.store.series
        if not names:
            return [*dict.fromkeys(metric.chart for metric in metrics.STEP), DEVICES]
        declared = [chart for chart in metrics.CHARTS if any(metric.name in names for metric in metrics_of(chart))]
        return [*declared, *undeclared(names), DEVICES]

    def series_of(self, chart: Chart) -> list[tuple[Metric, Series]]:
        """Return the metrics of a chart that the run on the screen has, with their series."""
        series = self.store.series
        return [(metric, series[metric.name]) for metric in metrics_of(chart) if metric.name in series]

    def across(self, view: View, store: Store | None = None) -> Across:
        """Return the x-axis of a run, of the one on the screen if no other is named."""
        return self._axes.across(self.store if store is None else store, view)

    def extent(self, view: View) -> Extent:
        """Return the whole x-axis: that of the run on the screen, or of one over it that has come farther."""
        extents = [self.across(view, store).extent() for store in self._stores()]
        low, high = min(extent.low for extent in extents), max(extent.high for extent in extents)
        return extents[0]._replace(low=low, high=high)

    def group(self, metric: Metric, view: View) -> MeanBand | None:
        """Return the run on the screen and its other seeds; None if there are none or each stands for itself."""
        seeds = [other.store.series.get(metric.name) for other in self.others if other.is_seed]
        members = (self.store.series[metric.name], *(series for series in seeds if series is not None))
        if not view.grouped or len(members) < 2 or metric not in compared(metric.chart):
            return None
        group = self._groups.get(metric.name)
        if group is None or [id(series) for series in group.members] != [id(series) for series in members]:
            group = self._groups[metric.name] = MeanBand(members)
        group.update()
        return group

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
        self._axes.keep([self.store])

    def _stores(self) -> list[Store]:
        return [self.store, *(other.store for other in self.others)]
