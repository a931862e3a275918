"""The widget that shows a Plot; drawn anew only when the plot or the size has changed, and painted row by row."""

from collections.abc import Hashable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from fbmon.chart import Plot, StyledText, draw
from fbmon.chart.layers import DIM
from fbmon.chart.layout import lay_out
from fbmon.metrics import CHARTS, Chart
from fbmon.ui.charts.colours import COMPONENTS, CSS, component_of
from fbmon.ui.charts.devices_plot import DEVICES

Row = tuple[StyledText, ...]


class ChartView(Widget, can_focus=True):
    """One chart. `show` gives it what to draw; it asks nobody for anything, and says where it was pointed at."""

    ALLOW_MAXIMIZE = False  # the board has a way of its own, which goes on with the next chart
    DEFAULT_CSS = CSS
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS

    class Pointed(Message):
        """Someone has clicked at `x`, or turned the wheel there: `zoom` is 1 inwards, -1 outwards, else 0."""

        def __init__(self, chart: Chart, x: float, zoom: int) -> None:
            super().__init__()
            self.chart = chart
            self.x = x
            self.zoom = zoom

    class Sized(Message):
        """The chart has another size than before; what it shows may be of long ago."""

        def __init__(self, view: "ChartView") -> None:
            super().__init__()
            self.view = view

    def __init__(self, chart: Chart) -> None:
        super().__init__(id=chart.name if chart in (*CHARTS, DEVICES) else None)  # a foreign name may be no id
        self.chart = chart
        self.plot: Plot | None = None
        self._key: Hashable = None
        self._rows: tuple[Row, ...] = ()
        self._strips: list[Strip] = []

    def show(self, plot: Plot) -> None:
        """Draw this from now on; only the rows that are not as they were are painted."""
        self.plot = plot
        key = (_key(plot), self.size)
        if key == self._key:
            return
        before, self._key = self._rows, key
        self._rows = draw(plot, self.size.width, self.size.height).rows
        self._strips = self._strips[: len(self._rows)]
        styles: dict[str, Style] = {}
        changed = []
        for number, row in enumerate(self._rows):
            if number >= len(self._strips) or number >= len(before) or row != before[number]:
                self._strips[number : number + 1] = [self._strip(row, styles)]
                changed.append(Region(0, number, self.size.width, 1))
        self.refresh(*changed) if changed else None

    def on_resize(self) -> None:
        self._forget()
        self.post_message(self.Sized(self))

    def notify_style_update(self) -> None:
        self._forget()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        if self._key is None and self.plot is not None:
            self.show(self.plot)
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def on_click(self, event: Click) -> None:
        self._point(event.x, 0)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._point(event.x, 1)
        event.stop()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._point(event.x, -1)
        event.stop()

    def _point(self, column: float, zoom: int) -> None:
        if self.plot is None or not self.size.width or not self.size.height:
            return
        layout = lay_out(self.plot, self.size.width, self.size.height)
        share = min(max((column - layout.area.left + 0.5) / layout.area.width, 0.0), 1.0)
        axis = layout.horizontal
        self.post_message(self.Pointed(self.chart, axis.low + share * (axis.high - axis.low), zoom))

    def _forget(self) -> None:
        self._key, self._rows, self._strips = None, (), []

    def _strip(self, row: Row, styles: dict[str, Style]) -> Strip:
        # Looking a style up costs more than drawing a row: once per role.
        for run in row:
            if run.role not in styles:
                styles[run.role] = self._style(run.role)
        return Strip([Segment(run.text, styles[run.role]) for run in row], self.size.width)

    def _style(self, role: str) -> Style:
        if not role:
            return self.rich_style
        style = self.get_component_rich_style(f"chart--{component_of(role.removesuffix(DIM))}")
        return style + Style(dim=True) if role.endswith(DIM) else style


def _key(plot: Plot) -> Hashable:
    """Equal for two plots that look the same: series only grow, so that their length tells what is in them."""
    curves = tuple((curve.label, curve.role, curve.dim, id(curve.series), len(curve.series)) for curve in plot.curves)
    bands = tuple((id(band.low), len(band.low)) for band in plot.bands)
    signs = None if plot.signs is None else tuple((sign.character, len(sign.x)) for sign in plot.signs)
    marks = None if plot.marks is None else len(plot.marks)
    rest = (plot.title, plot.scale, plot.x_range, plot.y_range, plot.references, plot.cursor, plot.x_unit)
    return curves, bands, signs, marks, rest
