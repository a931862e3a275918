"""The question that `q` asks while a run is running."""

from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.widgets import Button

from fbmon.ui.dialogs.question import Question

Answer = Literal["leave", "stop", "stop_after_step"]


class LeaveScreen(Question[Answer | None]):
    """Leave the run running, stop it, or stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,enter", "dismiss('leave')", "Leave it running"),
        Binding("s", "dismiss('stop')", "Stop it"),
        Binding("a", "dismiss('stop_after_step')", "After this step"),
        Binding("escape,q", "dismiss(None)", "Stay"),
    ]

    def __init__(self, run: str) -> None:
        super().__init__(
            f"{run} is running. It goes on without this screen.",
            _button("Leave it running (l)", "leave", "primary"),
            _button("Save and stop it (s)", "stop", "warning"),
            _button("Stop it after this step (a)", "stop_after_step", "warning"),
            Button("Stay (esc)", action="screen.dismiss(None)", compact=True),
        )


def _button(words: str, answer: Answer, variant: Literal["primary", "warning"]) -> Button:
    return Button(words, action=f"screen.dismiss('{answer}')", variant=variant, compact=True)
