"""The comparison: many runs on one screen."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Static

from fbmon.bulk import Read, take_
from fbmon.compare import Run
from fbmon.compare.sheet import Sheet
from fbmon.errors import FbmonError
from fbmon.text import clean
from fbmon.ui import ascii as in_ascii
from fbmon.ui import settings, toasts
from fbmon.ui.colours import DARK_THEME, LIGHT_THEME
from fbmon.ui.compare.board import CompareBoard
from fbmon.ui.compare.keys import GROUPS
from fbmon.ui.compare.reader import NotesRead, Reader, RunGrown, RunRead, RunsSeen
from fbmon.ui.driver import Driver
from fbmon.ui.footer import KeysFooter
from fbmon.ui.palette import commands

_FRAME_SECONDS = 0.1
_READING_FRAMES = 5  # while runs are read: drawing each as it comes would take longer than reading


class CompareApp(App[int]):
    """Shows a sheet of runs; `read_again` answers with the runs that there are by now.

    `begun` are journals that are being read already.
    """

    TITLE = "fbmon compare"
    CSS = toasts.CSS
    CSS_PATH = "compare.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-medium"), (40, "-tall")]  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        sheet: Sheet,
        read_again: Callable[[], list[Run]] | None = None,
        settings_file: Path | None = None,
        begun: Mapping[Path, Callable[[], Read]] | None = None,
    ) -> None:
        super().__init__(driver_class=Driver)
        self._sheet = sheet
        self._again = read_again
        self._settings_file = settings_file
        self._settings = settings.load(settings_file)
        self._reader = Reader(self, begun)
        self._changed = self._drawn = False
        self._waited = 0  # frames since something was drawn
        if in_ascii.is_wanted():
            self._filters.append(in_ascii.AsciiFilter())

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield CompareBoard(self._sheet, settings.to_view(self._settings), id="board")
        yield KeysFooter(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        if self._settings.theme in self.available_themes:
            self.theme = self._settings.theme
        self.theme_changed_signal.subscribe(self, lambda _: self.board.show_rows())
        self.app_resume_signal.subscribe(self, lambda _: self.action_repaint())  # `fg`: the terminal has forgotten all
        self.set_interval(_FRAME_SECONDS, self._draw_if_changed)
        self._reader.start()

    def on_unmount(self) -> None:
        self._reader.stop()

    @property
    def board(self) -> CompareBoard:
        return self.screen_stack[0].query_one(CompareBoard)

    def on_compare_board_wants(self, message: CompareBoard.Wants) -> None:
        self._reader.want(message.wanted)
        self._show_state()

    def on_compare_board_shown(self) -> None:
        self._show_state()

    def on_run_read(self, message: RunRead) -> None:
        self.board.stores[message.path] = message.store
        self._changed = True

    def on_run_grown(self, message: RunGrown) -> None:
        if message.path in self.board.stores:
            take_(self.board.stores[message.path], message.stretch)
            self._changed = True

    def on_notes_read(self, message: NotesRead) -> None:
        self.board.noted(message.path, message.notes)

    def on_runs_seen(self, message: RunsSeen) -> None:
        self._sheet.update(message.runs)
        self.board.show_rows()

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Leave; the settings are kept."""
        if self.is_running and self.screen_stack:
            theme = "" if self.theme == DARK_THEME else self.theme
            settings.save(self._settings_file, settings.of(self.board.view, theme))
        super().exit(result, return_code, message)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette."""
        return commands(super().get_system_commands(screen), self, GROUPS, self.board)

    def action_leave(self) -> None:
        self.exit()

    def action_help(self) -> None:
        from fbmon.ui.help import HelpScreen

        self.push_screen(HelpScreen(GROUPS))

    def action_toggle_light(self) -> None:
        self.theme = DARK_THEME if self.theme == LIGHT_THEME else LIGHT_THEME

    def action_repaint(self) -> None:
        self.refresh(repaint=True, layout=True)

    def action_read_again(self) -> None:
        """The runs that the query finds now; marks and hidden runs stay."""
        try:
            self._sheet.runs = self._again() if self._again else self._sheet.runs
        except FbmonError as error:  # by now there is no such run
            self.notify(clean(error.message), severity="error", markup=False)
        self.board.show_rows()

    def _draw_if_changed(self) -> None:
        if not self._changed or not self.is_running:
            return
        self._waited += 1
        stores, wanted = self.board.stores, self.board.wanted.curves
        if not self._drawn or len(stores) == len(wanted) or self._waited >= _READING_FRAMES:
            self._changed, self._waited, self._drawn = False, 0, True
            self.board.show_lanes()
            self._show_state()

    def _show_state(self) -> None:
        board, sheet = self.board, self._sheet
        lanes = board.runs.lanes
        read = sum(bool(lane.stores) for lane in lanes)
        order = f"by {sheet.order[0].heading}" if sheet.order else "newest first"
        parts = [
            f"{len(sheet.runs) - len(sheet.hidden)} runs",
            *([f"{len(sheet.hidden)} hidden"] if sheet.hidden else []),
            *([f"{len(sheet.marked)} marked"] if sheet.marked else []),
            f"{len(lanes)} drawn" if read == len(lanes) else f"reading {read} of {len(lanes)}",
            order,
            *([f"one row a {sheet.by.heading}"] if sheet.by else []),
        ]
        line = Text.assemble(("fbmon compare  ", "bold"), " · ".join(parts), no_wrap=True, overflow="ellipsis")
        self.query_one("#state", Static).update(line, layout=False)
