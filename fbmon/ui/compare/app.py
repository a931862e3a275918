"""The comparison: many runs on one screen."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from fbmon.compare import Run
from fbmon.compare.sheet import Sheet
from fbmon.errors import FbmonError
from fbmon.store.bulk import Read
from fbmon.text import clean
from fbmon.ui.charts import preferences
from fbmon.ui.charts.board import Board
from fbmon.ui.charts.footer import KeysFooter
from fbmon.ui.charts.keys import app_bindings
from fbmon.ui.compare.board import CompareBoard
from fbmon.ui.compare.keys import GROUPS
from fbmon.ui.compare.reader import NotesRead, Reader, RunGrown, RunRead, RunsSeen
from fbmon.ui.terminal.terminal import TerminalApp

_FRAME_SECONDS = 0.1
_READING_FRAMES = 5  # while runs are read: drawing each as it comes would take longer than reading


class CompareApp(TerminalApp):
    """Shows a sheet of runs; `read_again` answers with the runs that there are by now.

    `begun` are journals that are being read already.
    """

    TITLE = "fbmon compare"
    CSS_PATH = "compare.tcss"
    KEYS = GROUPS
    BINDINGS: ClassVar[list[BindingType]] = [*app_bindings(GROUPS)]

    def __init__(
        self,
        sheet: Sheet,
        read_again: Callable[[], list[Run]] | None = None,
        settings_file: Path | None = None,
        begun: Mapping[Path, Callable[[], Read]] | None = None,
    ) -> None:
        super().__init__(settings_file)
        self._sheet = sheet
        self._again = read_again
        self._reader = Reader(self, begun)
        self._changed = self._drawn = False
        self._waited = 0  # frames since something was drawn

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield CompareBoard(self._sheet, preferences.to_view(self._settings), id="board")
        yield KeysFooter(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, lambda _: self.comparison.show_rows())
        self.set_interval(_FRAME_SECONDS, self._draw_if_changed)
        self._reader.start()

    def on_unmount(self) -> None:
        self._reader.stop()

    @property
    def comparison(self) -> CompareBoard:
        return self.screen_stack[0].query_one(CompareBoard)

    @property
    def board(self) -> Board:
        return self.comparison.board

    def on_compare_board_wants(self, message: CompareBoard.Wants) -> None:
        self._reader.want(message.wanted)
        self._show_state()

    def on_compare_board_shown(self) -> None:
        self._show_state()

    def on_run_read(self, message: RunRead) -> None:
        self.comparison.stores[message.path] = message.store
        self._changed = True

    def on_run_grown(self, message: RunGrown) -> None:
        if message.path in self.comparison.stores:
            self.comparison.stores[message.path].apply_stretch(message.stretch)
            self._changed = True

    def on_notes_read(self, message: NotesRead) -> None:
        self.comparison.noted(message.path, message.notes)

    def on_runs_seen(self, message: RunsSeen) -> None:
        self._sheet.update(message.runs)
        self.comparison.show_rows()

    def action_leave(self) -> None:
        self.exit()

    def action_read_again(self) -> None:
        """The runs that the query finds now; marks and hidden runs stay."""
        try:
            self._sheet.runs = self._again() if self._again else self._sheet.runs
        except FbmonError as error:  # by now there is no such run
            self.notify(clean(error.message), severity="error", markup=False)
        self.comparison.show_rows()

    def _draw_if_changed(self) -> None:
        if not self._changed or not self.is_running:
            return
        self._waited += 1
        stores, paths = self.comparison.stores, self.comparison.wanted.curves
        if not self._drawn or len(stores) == len(paths) or self._waited >= _READING_FRAMES:
            self._changed, self._waited, self._drawn = False, 0, True
            self.comparison.show_traces()
            self._show_state()

    def _show_state(self) -> None:
        comparison, sheet = self.comparison, self._sheet
        traces = comparison.traces.traces
        read = sum(bool(trace.stores) for trace in traces)
        order = f"by {sheet.order[0].heading}" if sheet.order else "newest first"
        parts = [
            f"{len(sheet.runs) - len(sheet.hidden)} runs",
            *([f"{len(sheet.hidden)} hidden"] if sheet.hidden else []),
            *([f"{len(sheet.marked)} marked"] if sheet.marked else []),
            f"{len(traces)} drawn" if read == len(traces) else f"reading {read} of {len(traces)}",
            order,
            *([f"one row per {sheet.by.heading}"] if sheet.by else []),
        ]
        line = Text.assemble(("fbmon compare  ", "bold"), " · ".join(parts), no_wrap=True, overflow="ellipsis")
        self.query_one("#state", Static).update(line, layout=False)
