"""The drawing of curves as a view has them: the charts, the line below them, the event list."""

from collections.abc import Callable
from dataclasses import replace

from textual.widgets import Static

from fbmon.chart import Plot
from fbmon.metrics import Chart, Scale
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.charts.charts import Charts
from fbmon.ui.charts.curves import Curves
from fbmon.ui.charts.declared import matching
from fbmon.ui.charts.events_list import EventList
from fbmon.ui.charts.status import view_line
from fbmon.ui.charts.view import View


class Display:
    """Shows curves on widgets that its owner mounts; only `show` makes it look at the curves again."""

    def __init__(self, curves: Curves, view: View, charts: Charts, events: EventList) -> None:
        self.curves = curves
        self.view = view
        self.charts = charts
        self.line = Static(id="view")
        self.events = events

    def show(self) -> None:
        """Bring everything up to date; what has not changed costs next to nothing."""
        self.charts.offer(self._matching() or self.curves.charts())
        for shown in self.charts.shown():
            self.draw(shown)
        self.show_line()
        self.events.show(self.curves.notes(), self.view)

    def change(self, view: View) -> None:
        """Show the same curves in another way."""
        self.view = view
        self.show()

    def look(self, move: Callable[[], None]) -> None:
        """Draw what is in sight after a move among the charts."""
        move()
        self.show()

    def draw(self, shown: ChartView) -> None:
        """Bring one chart up to date."""
        shown.show(self.curves.plot(shown.chart, self.view, alone=self.charts.is_full))

    def focused(self) -> Plot:
        """Return the chart in focus as it stands alone, without a cursor."""
        return self.curves.plot(self.charts.focused, replace(self.view, cursor=None), alone=True)

    def scale(self) -> None:
        """Turn the scale of the chart in focus from linear to logarithmic, or back."""
        chart = self.charts.focused
        other: Scale = "linear" if self.view.scales.get(chart.name, chart.scale) == "log" else "log"
        self.change(replace(self.view, scales={**self.view.scales, chart.name: other}))

    def show_line(self) -> None:
        """Say of the chart in focus what stands at the cursor and how much of it is in sight."""
        chart, charts, curves = self.charts.focused, self.charts, self.curves
        counted, values = curves.count(chart, self.view), curves.values(chart, self.view)
        pages = (charts.page + 1, charts.pages)
        passed = (len(self._matching()), len(curves.charts()))
        line = view_line(chart.title, self.view, values, counted, pages, passed, self.line.size.width)
        self.line.update(line, layout=False)

    def _matching(self) -> list[Chart]:
        """Return what the filter lets through."""
        return matching(self.curves.charts(), self.view.filter)
