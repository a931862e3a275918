"""The look of every question that the screen asks."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ScreenResultType
from textual.widgets import Button, Static

from fbmon.ui.dialogs.dialog import Dialog


class Question(Dialog[ScreenResultType]):
    """A few words and buttons in the middle of the screen; what a button does, a key does too."""

    DEFAULT_CSS = """
    Question > Vertical { width: 64; height: auto; padding: 1 2; }
    Question Button { width: 100%; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, words: str, *buttons: Button) -> None:
        super().__init__()
        self._words = words
        self._buttons = buttons

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._words))
            yield from self._buttons
