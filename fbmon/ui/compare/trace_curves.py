"""The curves of the comparison's charts: those of its traces."""

from fbmon.chart import Plot
from fbmon.metrics import Chart
from fbmon.ui.charts.curves import Count
from fbmon.ui.charts.view import View
from fbmon.ui.compare import plots
from fbmon.ui.compare.traces import Traces


class TraceCurves:
    """The `Curves` of traces."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self.charts, self.across, self.points = traces.charts, traces.across, traces.points
        self.extent, self.notes = traces.extent, traces.notes

    def plot(self, chart: Chart, view: View, *, alone: bool) -> Plot:
        return plots.plot(self._traces, chart, view, alone=alone)

    def count(self, chart: Chart, view: View) -> Count:
        return plots.count(self._traces, chart, view)

    def values(self, chart: Chart, view: View) -> list[tuple[str, float | None]]:
        return plots.values(self._traces, chart, view)
