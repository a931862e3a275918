"""The comparison's board: the table of a sheet, and below it the charts of its rows with their keys."""

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import DataTable, Static

from fbmon.compare.cut import told_apart
from fbmon.compare.fields import VARIANT, find
from fbmon.compare.sheet import MOST_MARKED, Row, Sheet
from fbmon.store.notes import Note
from fbmon.store.store import Store
from fbmon.text import clean
from fbmon.ui.charts.board import Board
from fbmon.ui.charts.charts import Charts
from fbmon.ui.charts.display import Display
from fbmon.ui.charts.events_list import EventList
from fbmon.ui.charts.keys import bindings
from fbmon.ui.charts.view import View
from fbmon.ui.compare.differences import difference_lines
from fbmon.ui.compare.keys import CHARTS, TABLE
from fbmon.ui.compare.reader import Wanted
from fbmon.ui.compare.table import RunsTable
from fbmon.ui.compare.trace_curves import TraceCurves
from fbmon.ui.compare.traces import MARKERS, ROLES, Trace, Traces

_PANELS = (("differences", "events"), ("differences",), ("events",), ())
_REST_SECONDS = 0.06
_LABEL = 32  # signs of a name in a legend
_WIDE = 100  # cells for two panels beside one another


class CompareBoard(Container):
    """Shows a sheet as a table with the charts of its rows; `stores` are of the runs that it `Wants`.

    What happened in a run comes by `noted`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(TABLE)]

    class Wants(Message):
        """The message that the board wants to know other things of the runs."""

        def __init__(self, wishes: Wanted) -> None:
            super().__init__()
            self.wanted = wishes

    class Shown(Message):
        """The table has other rows than before, or another order."""

    def __init__(self, sheet: Sheet, view: View, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.traces = Traces()
        self.sheet = sheet
        self.stores: dict[Path, Store] = {}
        self.table = RunsTable()
        self._curves_display = Display(
            TraceCurves(self.traces), view, Charts(self.traces.charts(), ready=()), EventList()
        )
        self._noted: dict[Path | None, list[Note]] = {}
        self._by = sheet.by
        self._rows: list[Row] = []
        self._traces: dict[str, Trace] = {}
        self._markers: dict[str, int] = {}  # the marker of every row that was ever drawn
        self._panel = 0
        self._resting: Timer | None = None
        self.wanted = Wanted()

    def compose(self) -> ComposeResult:
        display = self._curves_display
        panel = Horizontal(VerticalScroll(Static(), id="differences", can_focus=False), display.events, id="panel")
        widgets = (self.table, display.charts, display.line, panel)
        yield Board(display, "comparison", CHARTS, *widgets, ahead=self.table, id="charts-board")

    def on_mount(self) -> None:
        self.show_rows()

    @property
    def board(self) -> Board:
        return self.query_one(Board)

    def noted(self, path: Path, notes: list[Note]) -> None:
        """Take in what has happened in the run at the cursor, or in one that it was at."""
        self._noted[path] = notes
        if path == self.wanted.events:
            self.traces.set_notes(notes)
            self._curves_display.show()

    def show_rows(self) -> None:
        """Show the table anew, and all that follows from it."""
        self._rows = self.sheet.rows()
        drawn = self.sheet.drawn(self._rows)
        self._assign([row.key for row in drawn])
        order = self.sheet.order
        self.table.show(
            self.sheet.headings(),
            (order[0].name, order[1]) if order else None,
            self._rows,
            {row.key for row in self._rows if self.sheet.is_marked(row)},
            self._traces,
        )
        self.show_traces()
        self.post_message(self.Shown())

    def show_traces(self) -> None:
        """Draw the curves of the rows that are drawn, as far as they have been read."""
        self._forget_move()
        drawn = [row for row in self._rows if row.key in self._traces]
        at = self.row()
        labels = told_apart([clean(row.label, 400) for row in drawn], _LABEL)
        for row, label in zip(drawn, labels, strict=True):
            runs = row.counted
            stores = tuple(self.stores[run.path] for run in runs if run.path in self.stores)
            self._traces[row.key].label = label
            self._traces[row.key].stores = stores if len(stores) == len(runs) else ()
        self.traces.set([self._traces[row.key] for row in drawn], at.key if at else None)
        self._want(drawn, at)
        self._curves_display.show()
        self._show_panel()

    def row(self) -> Row | None:
        """Return the row at the table's cursor."""
        at = self.table.at
        return next((row for row in self._rows if row.key == at), None)

    def on_resize(self) -> None:
        self._show_panel()

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        """Another run leads as soon as the cursor rests: to draw its charts takes longer than a key is repeated."""
        self._forget_move()
        self._resting = self.set_timer(_REST_SECONDS, self.show_traces)

    def _forget_move(self) -> None:
        if self._resting:
            self._resting.stop()
        self._resting = None

    @on(DataTable.HeaderSelected)
    def _heading(self, message: DataTable.HeaderSelected) -> None:
        if message.column_index:
            self._sort(message.column_index - 1)

    @on(RunsTable.Marked)
    def _marked(self, message: RunsTable.Marked) -> None:
        self._mark(next((row for row in self._rows if row.key == message.key), None))

    def action_mark(self) -> None:
        self._mark(self.row())

    def action_unmark(self) -> None:
        self.sheet.marked.clear()
        self.show_rows()

    def action_hide(self) -> None:
        if (row := self.row()) is not None:
            below = self._rows[self._rows.index(row) + 1 :][:1]
            self.sheet.hide(row)
            self.table.action_cursor_down() if below else None
            self.show_rows()

    def action_unhide(self) -> None:
        self.sheet.hidden.clear()
        self.show_rows()

    def action_sort(self, by: int) -> None:
        """Sort by the column beside the one that the table is sorted by."""
        names = [column.name for column in self.sheet.headings()]
        order = self.sheet.order
        at = names.index(order[0].name) if order and order[0].name in names else -1 if by > 0 else len(names)
        for step in range(1, len(names) + 1):
            index = (at + by * step) % len(names)
            if self.sheet.field(index) is not None:
                self._sort(index)
                return

    def action_invert(self) -> None:
        if self.sheet.order:
            self.sheet.sort(self.sheet.order[0])
            self.show_rows()

    def action_group(self) -> None:
        """Rows of runs, or of what they have in common: what was asked for, else all settings but the seed."""
        self.sheet.by = None if self.sheet.by else self._by or find(VARIANT, self.sheet.runs)
        self.show_rows()

    def action_columns(self) -> None:
        from fbmon.ui.compare.columns import ColumnsScreen

        def chosen(names: list[str] | None) -> None:
            if names:
                self.sheet.columns = [find(name, self.sheet.runs) for name in names]
                self.show_rows()

        self.app.push_screen(ColumnsScreen(self.sheet), chosen)

    def action_panel(self) -> None:
        self._panel = (self._panel + 1) % len(_PANELS)
        if self.size.width < _WIDE and self._panel == 1:
            self._panel = 2  # two have no room: both means the first
        self._show_panel()

    def _mark(self, row: Row | None) -> None:
        if row is None:
            return
        self.sheet.mark(row)
        if sum(map(self.sheet.is_marked, self._rows)) > MOST_MARKED:
            self.sheet.mark(row)
            self.notify(f"At most {MOST_MARKED} runs can be told apart at once.", markup=False)
        self.show_rows()

    def _sort(self, column: int) -> None:
        field = self.sheet.field(column)
        if field is not None:
            self.sheet.sort(field)
            self.show_rows()
            self.call_after_refresh(self.table.reach, column)

    def _assign(self, keys: list[str]) -> None:
        """Give each row that is drawn a trace; one that had it keeps marker and colour, or gets them back if free."""
        self._traces = {key: trace for key, trace in self._traces.items() if key in keys}
        free = dict.fromkeys(range(len(MARKERS)))
        for key in self._traces:
            del free[self._markers[key]]
        for key in (key for key in keys if key not in self._traces):
            index = self._markers.get(key, -1)
            self._markers[key] = index = index if index in free else next(iter(free))
            del free[index]
            self._traces[key] = Trace(key, "", MARKERS[index], f"run_{index % ROLES}")

    def _want(self, drawn: list[Row], at: Row | None) -> None:
        """The row at the cursor first: its curve leads, and its events are shown."""
        rows = [row for row in drawn if row is at] + [row for row in drawn if row is not at]
        curves = tuple(run.path for row in rows for run in row.counted)
        alive = tuple(run.path for run in self.sheet.runs if run.may_go_on)
        leading = at.counted[0].path if at and at.key in self._traces else None
        self.stores = {path: store for path, store in self.stores.items() if path in curves}
        wishes = Wanted(curves, leading or (at.runs[0].path if at else None), alive)
        if wishes != self.wanted:
            if wishes.events != self.wanted.events:
                self.traces.set_notes(self._noted.get(wishes.events, []))
            self.wanted = wishes
            self.post_message(self.Wants(wishes))

    def _show_panel(self) -> None:
        """Show what differs between the runs, what happened in one of them, both or neither."""
        shown = _PANELS[self._panel]
        if len(shown) > 1 and self.size.width < _WIDE:
            shown = shown[:1]
        self.query_one("#panel").display = bool(shown)
        for name in _PANELS[0]:
            self.query_one(f"#{name}").display = name in shown
        drawn = {self._traces[row.key].marker: row.runs for row in self._rows if row.key in self._traces}
        self.query_one("#differences Static", Static).update(difference_lines(drawn))
