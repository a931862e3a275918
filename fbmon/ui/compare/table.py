"""The table on top: a row a run or a group of runs, behind its mark and the marker of its curves."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.events import Click
from textual.message import Message
from textual.widgets import DataTable

from fbmon.compare.cut import middle_cut, told_apart
from fbmon.compare.sheet import Row
from fbmon.compare.table import Column
from fbmon.text import clean
from fbmon.ui.charts.colours import DARK, LIGHT, component_of
from fbmon.ui.compare.traces import Trace

_WIDEST = 28  # cells of a column; names are cut in the middle
_NAME_SHARE = 4  # the first column may be as wide as this part of the screen
_SORTED = {False: " ▲", True: " ▼"}


class RunsTable(DataTable[Text]):
    """Rows of fixed widths: a thousand of them are laid out in a moment. Space, Enter and a click on the mark mark."""

    BINDINGS = [  # noqa: RUF012 - Textual's own declaration
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
        Binding("left", "scroll_column(-1)", show=False),
        Binding("right", "scroll_column(1)", show=False),
    ]

    class Marked(Message):
        """A row is to be marked, or no longer."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__(id="table", cursor_type="row", zebra_stripes=True, fixed_columns=2, cell_padding=1)
        self._columns: list[str] = []
        self._keys: list[str] = []
        self._shown: list[list[Text]] = []
        self._headings: list[tuple[str, int]] = []

    @property
    def at(self) -> str | None:
        """The key of the row at the cursor."""
        return self._keys[self.cursor_row] if 0 <= self.cursor_row < len(self._keys) else None

    def show(
        self,
        columns: Sequence[Column],
        order: tuple[str, bool] | None,
        rows: Sequence[Row],
        marked: set[str],
        traces: Mapping[str, Trace],
    ) -> None:
        """Show these rows from now on, the cursor on the row that it was on; only what is not as it was is touched."""
        texts = [[clean(cell.text) for cell in row.cells] for row in rows]
        words = [
            clean(column.heading) + (_SORTED[order[1]] if order and order[0] == column.name else "")
            for column in columns
        ]
        most = max(_WIDEST, self.app.size.width // _NAME_SHARE)
        widths = [
            _width(word, column_index, texts, _WIDEST if column_index else most)
            for column_index, word in enumerate(words)
        ]
        headings = list(zip(words, widths, strict=True))
        names = told_apart([text[0] for text in texts], widths[0])
        cells = [
            [self._sign(row.key in marked, traces.get(row.key)), *_cells([name, *text[1:]], columns, widths)]
            for row, name, text in zip(rows, names, texts, strict=True)
        ]
        keys = [row.key for row in rows]
        if headings == self._headings and keys == self._keys:
            self._update(cells)
        else:
            is_same = [column.name for column in columns] == self._columns
            self._columns = [column.name for column in columns]
            self._lay_out(headings, keys, cells, x=self.scroll_target_x if is_same else 0)

    def action_select_cursor(self) -> None:
        if self.at is not None:
            self.post_message(self.Marked(self.at))

    def action_scroll_column(self, by: int) -> None:
        """Scroll so that another column begins beside the first ones, which stay."""
        at = self.scroll_target_x
        starts = [start for start, _ in self._spans() if (start > at if by > 0 else start < at)]
        if starts:
            self.scroll_to(x=min(starts) if by > 0 else max(starts), animate=False)

    def reach(self, column: int) -> None:
        """Scroll as far as it takes to see the whole of a column; the first is always in sight."""
        if column == 0:
            return
        spans = self._spans()
        start, end = spans[column - 1]
        at, room = self.scroll_target_x, self.scrollable_content_region.width - self._fixed_width()
        if start < at:
            self.scroll_to(x=start, animate=False)
        elif end > at + room:
            self.scroll_to(
                x=min((left for left, _ in spans if end - room <= left <= start), default=start), animate=False
            )

    def on_click(self, event: Click) -> None:
        meta = event.style.meta
        if meta.get("column") == 0 and 0 <= meta.get("row", -1) < len(self._keys):
            self.post_message(self.Marked(self._keys[meta["row"]]))

    def _update(self, cells: list[list[Text]]) -> None:
        for number, (before, now) in enumerate(zip(self._shown, cells, strict=True)):
            for column, (old, new) in enumerate(zip(before, now, strict=True)):
                if old != new or old.style != new.style:
                    self.update_cell_at((number, column), new)  # type: ignore[arg-type]
        self._shown = cells

    def _lay_out(self, headings: list[tuple[str, int]], keys: list[str], cells: list[list[Text]], x: float) -> None:
        """All anew; the row at the cursor and the columns from `x` on stay in sight."""
        at = self.at
        with self.app.batch_update():
            self.clear(columns=headings != self._headings)
            if headings != self._headings:
                self.add_column(Text(""), width=2)
                for heading, width in headings:
                    self.add_column(Text(heading), width=width)
            self.add_rows(cells)
        self._headings, self._keys, self._shown = headings, keys, cells
        if at in keys:
            self.move_cursor(row=keys.index(at), animate=False)
        if x:
            self.call_after_refresh(self.scroll_to, x=x, animate=False)

    def _widths(self) -> list[int]:
        return [column.get_render_width(self) for column in self.ordered_columns]

    def _fixed_width(self) -> int:
        return sum(self._widths()[: self.fixed_columns])

    def _spans(self) -> list[tuple[int, int]]:
        """Return from where to where the columns reach that scroll, in cells from the first of them."""
        ends = list(accumulate(self._widths()[self.fixed_columns :]))
        return list(pairwise([0, *ends]))

    def _sign(self, is_marked: bool, trace: Trace | None) -> Text:
        """The mark, and the marker of the curves in their colour."""
        sign = Text("✓" if is_marked else " ")
        if trace is not None:
            colours = DARK if self.app.current_theme.dark else LIGHT
            sign.append(trace.marker, Style(color=colours[component_of(trace.role)], bold=True))
        return sign


def _width(heading: str, column: int, texts: Sequence[Sequence[str]], most: int) -> int:
    widest = max((cell_len(row[column]) for row in texts), default=0)
    return min(max(widest, cell_len(heading)), most)


def _cells(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[Text]:
    return [
        Text(middle_cut(text, width), justify="right" if column.is_right else "left")
        for text, column, width in zip(texts, columns, widths, strict=True)
    ]
