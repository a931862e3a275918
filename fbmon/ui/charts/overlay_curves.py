"""The curves of the monitor's charts: those of the run on the screen and of those over it."""

from fbmon.chart import Plot
from fbmon.metrics import Chart
from fbmon.store.series import Series
from fbmon.ui.charts import plots, readout
from fbmon.ui.charts.curves import Count
from fbmon.ui.charts.overlay import Overlay
from fbmon.ui.charts.view import View


class OverlayCurves:
    """The `Curves` of an overlay."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self.charts, self.across = overlay.charts, overlay.across
        self.extent, self.notes = overlay.extent, overlay.notes

    def plot(self, chart: Chart, view: View, *, alone: bool) -> Plot:
        return plots.plot(self._overlay, chart, view, alone=alone)

    def count(self, chart: Chart, view: View) -> Count:
        return readout.count(self._overlay, chart, view)

    def values(self, chart: Chart, view: View) -> list[tuple[str, float | None]]:
        return readout.values(self._overlay, chart, view)

    def points(self, chart: Chart) -> Series | None:
        return readout.points(self._overlay, chart)
