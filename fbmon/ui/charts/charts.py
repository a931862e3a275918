"""All charts of a run in a grid: as many as fit, the rest on further pages; or one of them alone."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Size

from fbmon.metrics import CHARTS, Chart
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.charts.devices_plot import DEVICES

COLUMNS = ((160, 4), (120, 3), (80, 2), (0, 1))  # from how many cells on, how many charts stand side by side
LEAST_HEIGHT = 7  # of a chart: header, four rows of curves, marks, x-axis


class Charts(Container):
    """Shows charts by name; the one in focus is always on the page in sight."""

    DEFAULT_CSS = """
    Charts { layout: grid; grid-gutter: 0 2; height: 1fr; }
    """

    def __init__(self, charts: list[Chart], *, ready: Sequence[Chart] = (*CHARTS, DEVICES)) -> None:
        """`ready` are made at once, the others when they come into sight: each costs a hundredth of a second."""
        super().__init__(id="charts")
        self.charts = charts
        self.is_full = False  # one chart alone
        self._focused = charts[0]
        self._views = {chart: ChartView(chart) for chart in ready}

    def compose(self) -> ComposeResult:
        yield from self._views.values()

    @property
    def focused(self) -> Chart:
        return self._focused

    @property
    def page(self) -> int:
        return self.charts.index(self._focused) // self._per_page()

    @property
    def pages(self) -> int:
        return -(-len(self.charts) // self._per_page())

    def offer(self, charts: list[Chart]) -> None:
        """Show these from now on; the order is theirs."""
        if charts == self.charts:
            return
        self.charts = charts
        if self._focused not in charts:
            self._focused = charts[0]
        self.lay_out()

    def shown(self) -> list[ChartView]:
        """The charts in sight."""
        first = self.page * self._per_page()
        return [self.view(chart) for chart in self.charts[first : first + self._per_page()]]

    def view(self, chart: Chart) -> ChartView:
        if chart not in self._views:
            self._views[chart] = ChartView(chart)
        return self._views[chart]

    def focus_chart(self, chart: Chart) -> None:
        """Move to a chart, turning the page if need be."""
        page, self._focused = self.page, chart
        if self.is_full or self.page != page:
            self.lay_out()
        self.view(chart).focus(scroll_visible=False)

    def move(self, by: int) -> None:
        """Move to the next chart but `by` - 1, around the end."""
        self.focus_chart(self.charts[(self.charts.index(self._focused) + by) % len(self.charts)])

    def move_down(self, rows: int) -> None:
        """Move to the chart below or above; on the border nowhere."""
        index = self.charts.index(self._focused) + rows * self._grid(len(self.shown()))[0]
        if 0 <= index < len(self.charts):
            self.focus_chart(self.charts[index])

    def turn(self, pages: int) -> None:
        """Turn the pages, around the end."""
        self.focus_chart(self.charts[(self.page + pages) % self.pages * self._per_page()])

    def toggle_full(self) -> None:
        self.is_full = not self.is_full
        self.lay_out()

    def lay_out(self) -> None:
        """Lay the page in sight out."""
        shown = self.shown()
        columns, rows = self._grid(len(shown))
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = rows
        for view in shown:
            if self.is_attached and not view.is_attached:  # not while all is being taken down
                behind = self.charts[self.charts.index(view.chart) + 1 :]
                attached = (self._views[chart] for chart in behind if chart in self._views)
                self.mount(
                    view, before=next((view_behind for view_behind in attached if view_behind.is_attached), None)
                )
        for view in self._views.values():
            view.display = view in shown

    def on_resize(self) -> None:
        self.lay_out()

    def _grid(self, count: int) -> tuple[int, int]:
        return (1, 1) if self.is_full else grid(self.size, count)

    def _per_page(self) -> int:
        columns, rows = self._grid(len(self.charts))
        return columns * rows


def grid(size: Size, count: int) -> tuple[int, int]:
    """Columns and rows for up to `count` charts; those that do not fit go to further pages, few fill the page."""
    most = min(next(number for width, number in COLUMNS if size.width >= width), max(count, 1))
    rows = max(1, min(size.height // LEAST_HEIGHT, -(-count // most)))
    return min(most, -(-count // rows)), rows
