"""The keys of the charts: what each changes in the view, which is one for all charts, so that all are linked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.binding import BindingsMap
from textual.containers import Container
from textual.widget import Widget

from fbmon.ui.charts import cursor
from fbmon.ui.charts import view as views
from fbmon.ui.charts.chart import ChartView
from fbmon.ui.charts.charts import Charts
from fbmon.ui.charts.display import Display
from fbmon.ui.charts.events_list import listed
from fbmon.ui.charts.keys import Key, bindings
from fbmon.ui.charts.view import Moment, View

if TYPE_CHECKING:
    from textual.widgets import Input

_FAST = 10  # columns at once


class Board(Container):
    """The `widgets` of a display and the keys that change it; `name` is what saved files begin with.

    `ahead` is one of the widgets that comes before the first chart and after the last one, as tab goes.
    """

    def __init__(
        self,
        display: Display,
        name: str,
        keys: Mapping[str, Sequence[Key]],
        *widgets: Widget,
        ahead: Widget | None = None,
        id: str,  # noqa: A002 - Textual's name for it
    ) -> None:
        super().__init__(*widgets, id=id)
        self._bindings = BindingsMap(bindings(keys))  # a class could have but one set of keys for all screens
        self.curves_display = display
        self._file_name = name
        self._ahead = ahead

    def on_mount(self) -> None:
        if self._ahead:
            self._ahead.focus()
        else:
            self.charts.focus_chart(self.charts.focused)

    @property
    def charts(self) -> Charts:
        return self.curves_display.charts

    @property
    def view(self) -> View:
        return self.curves_display.view

    def show(self) -> None:
        """Bring everything up to date."""
        self.curves_display.show()

    def on_chart_view_sized(self, message: ChartView.Sized) -> None:
        self.curves_display.draw(message.view)
        self.curves_display.show_line()

    def on_chart_view_pointed(self, message: ChartView.Pointed) -> None:
        self.charts.focus_chart(message.chart)
        if message.zoom:
            self._change(views.zoom(self.view, self._extent(), views.ZOOM**message.zoom, message.x))
        else:
            self._set_cursor(cursor.nearest_to(self.curves_display.curves, self.charts.focused, self.view, message.x))

    def action_move(self, by: int) -> None:
        charts, ahead = self.charts, self._ahead
        if ahead and ahead.has_focus:
            self.curves_display.look(lambda: charts.focus_chart(charts.charts[0 if by > 0 else -1]))
        elif ahead and charts.focused == charts.charts[-1 if by > 0 else 0]:
            ahead.focus()
        else:
            self.curves_display.look(lambda: charts.move(by))

    def action_move_down(self, rows: int) -> None:
        self.curves_display.look(lambda: self.charts.move_down(rows))

    def action_turn(self, pages: int) -> None:
        self.curves_display.look(lambda: self.charts.turn(pages))

    def action_full(self) -> None:
        self.curves_display.look(self.charts.toggle_full)

    def action_back(self) -> None:
        if self.view.cursor is not None:
            self._change(replace(self.view, cursor=None))
        elif self.charts.is_full:
            self.action_full()
        else:
            if self._ahead:
                self._ahead.focus()
            if self.view.filter:
                self._change(replace(self.view, filter=""))

    def action_filter(self) -> None:
        from fbmon.ui.charts.filter import FilterLine

        line = FilterLine(self.view.filter)
        self.mount(line, before=self.curves_display.line)
        line.focus()

    def on_input_changed(self, message: "Input.Changed") -> None:
        self._change(replace(self.view, filter=message.value))

    def on_input_submitted(self) -> None:
        self.charts.focus_chart(self.charts.focused)

    def action_zoom(self, direction: int) -> None:
        at = self.view.cursor
        about = None if at is None else self.curves_display.curves.across(self.view).at(at)
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
        self.curves_display.scale()

    def action_smooth(self, change: int) -> None:
        self._change(views.smooth(self.view, change))

    def action_events(self) -> None:
        self._change(views.next_events(self.view))

    def action_cursor(self) -> None:
        if self.view.cursor is not None:
            self._change(replace(self.view, cursor=None))
        else:
            self._set_cursor(cursor.newest_in_sight(self.curves_display.curves, self.charts.focused, self.view))

    def action_end(self, direction: int) -> None:
        self._set_cursor(cursor.end(self.curves_display.curves, self.charts.focused, direction))

    def action_jump(self, direction: int) -> None:
        """Move the cursor to the next event; from nowhere to the last one."""
        at = None if self.view.cursor is None else self.view.cursor.step
        note = cursor.next_note(listed(self.curves_display.curves.notes(), self.view), at, direction)
        if note is not None:
            self._set_cursor(Moment(note.step, note.elapsed))

    def action_write(self) -> None:
        from fbmon.ui.charts.save import save_chart

        save_chart(self, self.curves_display.focused(), f"{self._file_name}-{self.charts.focused.name}")

    async def action_write_screen(self) -> None:
        """Save the screen as it is without what it has just said."""
        from fbmon.ui.charts.save import save_screen

        self.app.clear_notifications()
        await self.screen.query("ToastHolder").remove()
        self.call_after_refresh(save_screen, self, self._file_name)

    def _change(self, view: View) -> None:
        self.curves_display.change(view)

    def _extent(self) -> views.Extent:
        return self.curves_display.curves.extent(self.view)

    def _set_cursor(self, moment: Moment | None) -> None:
        if moment is not None:
            x = self.curves_display.curves.across(self.view).at(moment)
            self._change(replace(views.bring_in(self.view, self._extent(), x), cursor=moment))

    def _move_cursor(self, columns: int) -> None:
        chart = self.charts.focused
        width = self.charts.view(chart).size.width
        self._set_cursor(cursor.moved_by(self.curves_display.curves, chart, self.view, columns, width))
