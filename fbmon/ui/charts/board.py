"""The charts with their event list, and what their keys do: one view for all, so that everything is linked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.widgets import Static

from fbmon.chart import Plot
from fbmon.metrics import Chart, Scale
from fbmon.store.notes import Note
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.text import clean
from fbmon.ui.charts import cursor
from fbmon.ui.charts import view as views
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.charts.charts import Charts
from fbmon.ui.charts.events_list import EventList
from fbmon.ui.charts.keys import GROUPS, bindings
from fbmon.ui.charts.plots import plot
from fbmon.ui.charts.readout import Count, count, points, values
from fbmon.ui.charts.runs import Runs, matching
from fbmon.ui.charts.signs import is_listed
from fbmon.ui.charts.status import others_lines, view_line
from fbmon.ui.charts.view import Moment, View

if TYPE_CHECKING:
    from textual.widgets import Input

_FAST = 10  # columns at once


class Board(Container):
    """Shows a store as the view has it; only `show` makes it look at the store again."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(GROUPS)]

    def __init__(self, store: Store, run: str, view: View, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.runs = Runs(store)
        self.view = view
        self._run = run

    def compose(self) -> ComposeResult:
        yield Charts(self.runs.charts())
        yield Static(id="others")
        yield Static(id="view")
        yield EventList()

    def on_mount(self) -> None:
        self.charts.focus_chart(self.charts.focused)

    @property
    def charts(self) -> Charts:
        return self.query_one(Charts)

    def show(self) -> None:
        """Bring everything up to date; what has not changed costs next to nothing."""
        self.charts.offer(self._matching() or self.runs.charts())
        for shown in self.charts.shown():
            self._draw(shown)
        self._show_line()
        self._show_events()

    def show_others(self) -> None:
        """The runs over this one, and what is other in them."""
        lines = self.query_one("#others", Static)
        lines.display = bool(self.runs.others)
        lines.update(others_lines(self.runs.others))
        self.show()

    def on_chart_view_sized(self, message: ChartView.Sized) -> None:
        self._draw(message.view)
        self._show_line()

    def on_chart_view_pointed(self, message: ChartView.Pointed) -> None:
        self.charts.focus_chart(message.chart)
        if message.zoom:
            self._change(views.zoom(self.view, self._extent(), views.ZOOM**message.zoom, message.x))
        else:
            self._set_cursor(self._nearest(message.x))

    def action_move(self, by: int) -> None:
        self._look(lambda: self.charts.move(by))

    def action_move_down(self, rows: int) -> None:
        self._look(lambda: self.charts.move_down(rows))

    def action_turn(self, pages: int) -> None:
        self._look(lambda: self.charts.turn(pages))

    def action_full(self) -> None:
        self._look(self.charts.toggle_full)

    def action_back(self) -> None:
        if self.view.cursor is not None:
            self._change(replace(self.view, cursor=None))
        elif self.charts.is_full:
            self.action_full()
        elif self.view.filter:
            self._change(replace(self.view, filter=""))

    def action_filter(self) -> None:
        from fbmon.ui.charts.filter import FilterLine

        line = FilterLine(self.view.filter)
        self.mount(line, before="#view")
        line.focus()

    def on_input_changed(self, message: "Input.Changed") -> None:
        self._change(replace(self.view, filter=message.value))

    def on_input_submitted(self) -> None:
        self.charts.focus_chart(self.charts.focused)

    def action_zoom(self, direction: int) -> None:
        at = self.view.cursor
        about = None if at is None else self.runs.across(self.view).at(at)
        self._change(views.zoom(self.view, self._extent(), views.ZOOM**direction, about))

    def action_pan(self, direction: int) -> None:
        self._change(views.pan(self.view, self._extent(), views.PAN * direction))

    def action_sideways(self, direction: int) -> None:
        if self.view.cursor is None:
            self.action_pan(direction)
        else:
            self._move_cursor(direction)

    def action_fast(self, direction: int) -> None:
        self._move_cursor(_FAST * direction)

    def action_fit(self) -> None:
        self._change(views.fit(self.view))

    def action_follow(self) -> None:
        self._change(views.follow(self.view, self._extent()))

    def action_axis(self) -> None:
        self._change(views.next_axis(self.view))

    def action_scale(self) -> None:
        chart = self.charts.focused
        now = self.view.scales.get(chart.name, chart.scale)
        other: Scale = "linear" if now == "log" else "log"
        self._change(replace(self.view, scales={**self.view.scales, chart.name: other}))

    def action_smooth(self, change: int) -> None:
        self._change(views.smooth(self.view, change))

    def action_events(self) -> None:
        self._change(views.next_events(self.view))

    def action_group(self) -> None:
        if not self.view.grouped and not any(other.is_seed for other in self.runs.others):
            self.notify("No other seed of this recipe is shown; `o` lays other runs over this one.", markup=False)
            return
        self._change(replace(self.view, grouped=not self.view.grouped))

    def action_cursor(self) -> None:
        if self.view.cursor is not None:
            self._change(replace(self.view, cursor=None))
        else:
            self._set_cursor(self._newest_in_sight())

    def action_end(self, direction: int) -> None:
        along = self._points()
        if along is not None:
            self._set_cursor(cursor.moment(along, 0 if direction < 0 else len(along)))

    def action_jump(self, direction: int) -> None:
        """The cursor to the next event; from nowhere to the last one."""
        at = None if self.view.cursor is None else self.view.cursor.step
        note = cursor.next_note(self._notes(), at, direction)
        if note is not None:
            self._set_cursor(Moment(note.step, note.elapsed))

    def action_write(self) -> None:
        from fbmon.ui.charts.save import write

        chart = self.charts.focused
        drawn = self._plot(chart, replace(self.view, cursor=None), alone=True)
        self._tell_saved(lambda: write(drawn, f"{self._run}-{chart.name}", Path.cwd()))

    async def action_write_screen(self) -> None:
        """Save the screen as it is without what it has just said."""
        self.app.clear_notifications()
        await self.screen.query("ToastHolder").remove()
        self.call_after_refresh(self._write_screen)

    def _write_screen(self) -> None:
        from fbmon.ui.charts.save import without_downloads, write_new

        picture = without_downloads(self.app.export_screenshot(title=f"fbmon {clean(self._run)}"))
        self._tell_saved(lambda: write_new({"svg": picture}, f"{self._run}-screen", Path.cwd()))

    def _tell_saved(self, write: Callable[[], list[Path]]) -> None:
        try:
            names = [path.name for path in write()]
        except OSError as error:
            self.notify(f"Nothing is saved: {clean(str(error))}", severity="error", markup=False)
            return
        self.notify(f"Saved {clean(' and '.join(names))} in {clean(str(Path.cwd()))}", markup=False)

    def _draw(self, shown: ChartView) -> None:
        shown.show(self._plot(shown.chart, self.view, alone=self.charts.is_full))

    def _plot(self, chart: Chart, view: View, *, alone: bool) -> Plot:
        return plot(self.runs, chart, view, alone=alone)

    def _count(self, chart: Chart) -> Count:
        return count(self.runs, chart, self.view)

    def _values(self, chart: Chart) -> list[tuple[str, float | None]]:
        """Return what stands at the cursor."""
        return values(self.runs, chart, self.view)

    def _look(self, move: Callable[[], None]) -> None:
        """Draw what is in sight after a move among the charts."""
        move()
        self.show()

    def _change(self, view: View) -> None:
        self.view = view
        self.show()

    def _show_line(self) -> None:
        chart, charts = self.charts.focused, self.charts
        counted, told = self._count(chart), self._values(chart)
        pages = (charts.page + 1, charts.pages)
        passed = (len(self._matching()), len(self.runs.charts()))
        line = view_line(chart.title, self.view, told, counted, pages, passed, max(0, self.size.width - 2))
        self.query_one("#view", Static).update(line, layout=False)

    def _show_events(self) -> None:
        events = self.query_one(EventList)
        events.display = self.view.events != "none"
        events.show(self._notes(), self.view.cursor)

    def _matching(self) -> list[Chart]:
        """Return what the filter lets through."""
        return matching(self.runs.charts(), self.view.filter)

    def _notes(self) -> list[Note]:
        return [note for note in self.runs.notes() if is_listed(note, self.view.events)]

    def _extent(self) -> views.Extent:
        return self.runs.extent(self.view)

    def _points(self) -> Series | None:
        """The points that the cursor steps along: those of the first curve of the chart in focus."""
        return points(self.runs, self.charts.focused)

    def _set_cursor(self, moment: Moment | None) -> None:
        if moment is not None:
            x = self.runs.across(self.view).at(moment)
            self._change(replace(views.bring_in(self.view, self._extent(), x), cursor=moment))

    def _move_cursor(self, columns: int) -> None:
        """Move the cursor by columns of dots, but at least to the next point."""
        along, at = self._points(), self.view.cursor
        if along is None or at is None:
            self._set_cursor(self._newest_in_sight())
            return
        across, (low, high) = self.runs.across(self.view), views.sight(self.view, self._extent())
        dots = 2 * max(1, self.charts.view(self.charts.focused).size.width)
        place = cursor.moved(across.x(along), across.at(at), columns * (high - low) / dots)
        self._set_cursor(cursor.moment(along, place))

    def _nearest(self, x: float) -> Moment | None:
        along = self._points()
        if along is None:
            return None
        return cursor.moment(along, cursor.nearest(self.runs.across(self.view).x(along), x))

    def _newest_in_sight(self) -> Moment | None:
        return self._nearest(views.sight(self.view, self._extent())[1])
