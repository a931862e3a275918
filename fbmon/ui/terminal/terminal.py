"""The base of both screens: an app in a terminal that remembers what a reader likes, and leaves it as it was."""

import os
import traceback
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import App, SystemCommand
from textual.screen import Screen

from fbmon.text import clean_lines
from fbmon.ui.charts import ascii as in_ascii
from fbmon.ui.charts import preferences
from fbmon.ui.charts.board import Board
from fbmon.ui.charts.colours import DARK_THEME, LIGHT_THEME
from fbmon.ui.charts.keys import Key
from fbmon.ui.dialogs import toasts
from fbmon.ui.dialogs.palette import commands
from fbmon.ui.terminal.driver import Driver

_TERMINAL = 0


class TerminalApp(App[int]):
    """A board of charts and its keys. Settings are remembered in the file given, if any."""

    CSS = toasts.CSS
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-medium"), (40, "-tall")]  # noqa: RUF012 - Textual's own declaration
    KEYS: ClassVar[Mapping[str, Sequence[Key]]]

    def __init__(self, settings_file: Path | None) -> None:
        _ask_the_terminal_for_its_size()
        super().__init__(driver_class=Driver)
        self._settings_file = settings_file
        self._settings = preferences.load(settings_file)
        if in_ascii.is_wanted():
            self._filters.append(in_ascii.AsciiFilter())

    def on_mount(self) -> None:
        if self._settings.theme in self.available_themes:
            self.theme = self._settings.theme
        self.app_resume_signal.subscribe(self, lambda _: self.action_repaint())  # `fg`: the terminal has forgotten all

    @property
    @abstractmethod
    def board(self) -> Board:
        """The board under all dialogs."""

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Leave; the settings are kept."""
        if self.is_running and self.screen_stack:
            theme = "" if self.theme == DARK_THEME else self.theme
            preferences.save(self._settings_file, preferences.of(self.board.view, theme))
        super().exit(result, return_code, message)

    def _fatal_error(self) -> None:
        """Say what went wrong in the screen itself; Textual's own words would pass on what steers the terminal."""
        self._exit_renderables.append(Text(clean_lines(traceback.format_exc())))
        self._close_messages_no_wait()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette."""
        return commands(super().get_system_commands(screen), self, self.KEYS, self.board)

    def action_help(self) -> None:
        from fbmon.ui.dialogs.help import HelpScreen

        self.push_screen(HelpScreen(self.KEYS))

    def action_toggle_light(self) -> None:
        self.theme = DARK_THEME if self.theme == LIGHT_THEME else LIGHT_THEME

    def action_repaint(self) -> None:
        self.refresh(repaint=True, layout=True)


def _ask_the_terminal_for_its_size() -> None:
    """Forget the exported size of another moment; where a terminal, say a serial line, does not know its own, keep it.

    Rich and Textual would believe the variables, and hear of no change.
    """
    with suppress(OSError):
        for name, size in zip(("COLUMNS", "LINES"), os.get_terminal_size(_TERMINAL), strict=True):
            if size:
                os.environ.pop(name, None)
