"""Asks before something is done to the training."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Button

from fbmon.ui.dialogs.question import Question


class ConfirmScreen(Question[bool]):
    """One question; True if it is to be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__(
            question,
            Button(f"{yes} (y)", action="screen.dismiss(True)", variant="primary", compact=True),
            Button("No (esc)", action="screen.dismiss(False)", compact=True),
        )
