"""The runs whose curves lie over one another, each in a lane of its own: a colour, a marker, a run or several seeds."""

from dataclasses import dataclass

from fbmon import metrics
from fbmon.chart.group import Group
from fbmon.metrics import Chart, Metric
from fbmon.store.notes import Note
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.ui.charts.runs import Runs, undeclared
from fbmon.ui.charts.signs import Places
from fbmon.ui.charts.view import Extent, View

MARKERS = "△□◇×○+▽abcdefghijklmnpqrstuwyz"  # one a lane: as many as there are can lie over one another
ROLES = 6  # colours, told apart by the markers where there are more lanes
_FIRST = ("val_accuracy", "loss", "grad_norm", "val_loss", "accuracy", "full_loss")  # the charts in front

METRICS = sorted(
    metrics.METRICS, key=lambda metric: _FIRST.index(metric.name) if metric.name in _FIRST else len(_FIRST)
)


def chart_of(metric: Metric) -> Chart:
    """A chart of one metric alone: several of each run would be too many curves."""
    title = metric.chart.title if metric.label in metric.chart.title else f"{metric.chart.title}, {metric.label}"
    return Chart(metric.name, title, metric.chart.scale, metric.format)


CHARTS = {metric.name: chart_of(metric) for metric in METRICS}


@dataclass(eq=False)
class Lane:
    """A row of the table as curves: those of its run, or of its runs as their mean and a band."""

    key: str
    label: str
    marker: str
    role: str
    stores: tuple[Store, ...] = ()


class Lanes(Runs):
    """The lanes in the order of the table. One of them leads: its points are what the cursor steps along."""

    def __init__(self) -> None:
        super().__init__(Store())
        self.lanes: list[Lane] = []
        self.leading: Lane | None = None
        self._leads_table = False  # whether it is the row at the table's cursor, of which the notes are
        self._notes: list[Note] = []
        self._bands: dict[tuple[str, str], Group] = {}

    def set(self, lanes: list[Lane], leading: str | None) -> None:
        """Show these from now on; the one with the key `leading` leads, else the first that has been read."""
        self.lanes = lanes
        read = [lane for lane in lanes if lane.stores]
        self.leading = next((lane for lane in read if lane.key == leading), read[0] if read else None)
        self._leads_table = self.leading is not None and self.leading.key == leading
        self.store = self.leading.stores[0] if self.leading else Store()
        known = {id(store) for store in self._stores()}
        self._across = {key: across for key, across in self._across.items() if key in known}
        self._bands = {key: band for key, band in self._bands.items() if any(lane.key == key[0] for lane in lanes)}

    def set_notes(self, notes: list[Note]) -> None:
        """Return what happened in the run at the table's cursor."""
        self._notes = notes
        self._places = Places()

    def notes(self) -> list[Note]:
        return self._notes

    def places(self) -> Places:
        """Return where the notes stand; nowhere where those of a run are listed that is not drawn."""
        return super().places() if self._leads_table else Places()

    def charts(self) -> list[Chart]:
        """One for each metric that any of the runs has told; before the first is read, those that are in front."""
        told = dict.fromkeys(name for store in self._stores() for name in store.series)
        if not told:
            return [CHARTS[name] for name in _FIRST]
        return [chart for name, chart in CHARTS.items() if name in told] + undeclared(told)

    def series_of(self, chart: Chart) -> list[tuple[Metric, Series]]:
        """Return the series of the lane that leads."""
        line = self.line(self.leading, chart) if self.leading else None
        return [(metric_of(chart), line)] if line is not None else []

    def line(self, lane: Lane, chart: Chart) -> Series | None:
        """The curve of a lane: that of its run, or the mean of its runs."""
        band = self.band(lane, chart)
        if band is not None:
            return band.mean
        return next((store.series[chart.name] for store in lane.stores if chart.name in store.series), None)

    def band(self, lane: Lane, chart: Chart) -> Group | None:
        """The mean of several runs, their least and their greatest; None of a run alone."""
        members = tuple(store.series[chart.name] for store in lane.stores if chart.name in store.series)
        if len(members) < 2:
            return None
        known = self._bands.get((lane.key, chart.name))
        if known is None or [id(one) for one in known.members] != [id(one) for one in members]:
            known = self._bands[lane.key, chart.name] = Group(members)
        known.update()
        return known

    def extent(self, view: View) -> Extent:
        """Return the extent from the first point of all lanes to the last."""
        extents = [self.across(view, store).extent() for store in self._stores()]
        low, high = min(one.low for one in extents), max(one.high for one in extents)
        return Extent(low, high, max(one.end for one in extents), extents[0].least)

    def _stores(self) -> list[Store]:
        return [store for lane in self.lanes for store in lane.stores] or [self.store]


def metric_of(chart: Chart) -> Metric:
    """The metric of a chart; one that nobody declared has the chart's name."""
    return metrics.BY_NAME.get(chart.name, Metric(chart.name, chart.title, chart))
