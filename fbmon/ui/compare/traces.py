"""The curves that lie over one another, each a trace: a colour, a marker, a run or several seeds."""

from dataclasses import dataclass

from fbmon import metrics
from fbmon.chart.mean_band import MeanBand
from fbmon.metrics import Chart, Metric
from fbmon.store.notes import Note
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.ui.charts.across import Across
from fbmon.ui.charts.curves import Axes
from fbmon.ui.charts.declared import undeclared
from fbmon.ui.charts.signs import Places
from fbmon.ui.charts.view import Extent, View

MARKERS = "△□◇×○+▽abcdefghijklmnpqrstuwyz"  # one a trace: as many as there are can lie over one another
ROLES = 6  # colours, told apart by the markers where there are more traces
_FIRST = ("val_accuracy", "loss", "grad_norm", "val_loss", "accuracy", "full_loss")  # the charts in front

METRICS = sorted(
    metrics.METRICS, key=lambda metric: _FIRST.index(metric.name) if metric.name in _FIRST else len(_FIRST)
)


def chart_of(metric: Metric) -> Chart:
    """Return a chart of one metric alone: several of each run would be too many curves."""
    title = metric.chart.title if metric.label in metric.chart.title else f"{metric.chart.title}, {metric.label}"
    return Chart(metric.name, title, metric.chart.scale, metric.format)


CHARTS = {metric.name: chart_of(metric) for metric in METRICS}


@dataclass(eq=False)
class Trace:
    """A row of the table as curves: those of its run, or of its runs as their mean and a band."""

    key: str
    label: str
    marker: str
    role: str
    stores: tuple[Store, ...] = ()


class Traces:
    """The traces in the order of the table; the cursor steps along the points of the one that leads."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self.leading: Trace | None = None
        self.store = Store()  # of the trace that leads
        self._leads_table = False  # whether it is the row at the table's cursor, of which the notes are
        self._notes: list[Note] = []
        self._axes = Axes()
        self._places = Places()
        self._bands: dict[tuple[str, str], MeanBand] = {}

    def set(self, traces: list[Trace], leading: str | None) -> None:
        """Show these from now on; the one with the key `leading` leads, else the first that has been read."""
        self.traces = traces
        read = [trace for trace in traces if trace.stores]
        self.leading = next((trace for trace in read if trace.key == leading), read[0] if read else None)
        self._leads_table = self.leading is not None and self.leading.key == leading
        self.store = self.leading.stores[0] if self.leading else Store()
        self._axes.keep(self._stores())
        self._bands = {key: band for key, band in self._bands.items() if any(trace.key == key[0] for trace in traces)}

    def set_notes(self, notes: list[Note]) -> None:
        """List these notes: what happened in the run at the table's cursor."""
        self._notes = notes
        self._places = Places()

    def notes(self) -> list[Note]:
        return self._notes

    def places(self) -> Places:
        """Return where the notes stand; nowhere if those of a run are listed that is not drawn."""
        if not self._leads_table:
            return Places()
        self._places.update(self._notes)
        return self._places

    def charts(self) -> list[Chart]:
        """Return one for each metric that any of the runs has; before the first is read, those that are in front."""
        names = dict.fromkeys(name for store in self._stores() for name in store.series)
        if not names:
            return [CHARTS[name] for name in _FIRST]
        return [chart for name, chart in CHARTS.items() if name in names] + undeclared(names)

    def points(self, chart: Chart) -> Series | None:
        line = self.line(self.leading, chart) if self.leading else None
        return line if line is not None and len(line) else None

    def line(self, trace: Trace, chart: Chart) -> Series | None:
        """Return the curve of a trace: that of its run, or the mean of its runs."""
        band = self.band(trace, chart)
        if band is not None:
            return band.mean
        return next((store.series[chart.name] for store in trace.stores if chart.name in store.series), None)

    def band(self, trace: Trace, chart: Chart) -> MeanBand | None:
        """Return the mean of several runs, their least and their greatest; None of a run alone."""
        members = tuple(store.series[chart.name] for store in trace.stores if chart.name in store.series)
        if len(members) < 2:
            return None
        group = self._bands.get((trace.key, chart.name))
        if group is None or [id(series) for series in group.members] != [id(series) for series in members]:
            group = self._bands[trace.key, chart.name] = MeanBand(members)
        group.update()
        return group

    def across(self, view: View, store: Store | None = None) -> Across:
        """Return the x-axis of a run, of the one that leads if no other is named."""
        return self._axes.across(self.store if store is None else store, view)

    def extent(self, view: View) -> Extent:
        """Return the extent from the first point of all traces to the last."""
        extents = [self.across(view, store).extent() for store in self._stores()]
        low, high = min(extent.low for extent in extents), max(extent.high for extent in extents)
        return Extent(low, high, max(extent.end for extent in extents), extents[0].least)

    def _stores(self) -> list[Store]:
        return [store for trace in self.traces for store in trace.stores] or [self.store]
