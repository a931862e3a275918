"""The question that `q` asks while a run is running."""

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Static

from fbmon.ui.question import Question

Answer = Literal["leave", "stop", "stop_after_step"]


class LeaveScreen(Question[Answer | None]):
    """Leave the run running, stop it, or stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,enter", "answer('leave')", "Leave it running"),
        Binding("s", "answer('stop')", "Stop it"),
        Binding("a", "answer('stop_after_step')", "After this step"),
        Binding("escape,q", "dismiss(None)", "Stay"),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"{self._run} is running. It goes on without this screen."))
            yield Button("Leave it running (l)", id="leave", variant="primary", compact=True)
            yield Button("Stop it; it saves first (s)", id="stop", variant="warning", compact=True)
            yield Button("Stop it after this step (a)", id="stop_after_step", variant="warning", compact=True)
            yield Button("Stay (esc)", id="stay", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "leave" | "stop" | "stop_after_step" as answer:
                self.dismiss(answer)
            case _:
                self.dismiss(None)

    def action_answer(self, answer: Answer) -> None:
        self.dismiss(answer)
