"""The line in which the filter of the charts is typed."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class FilterLine(Input):
    """Tells the text as it is typed; goes away when it is left, and with escape the filter too."""

    DEFAULT_CSS = """
    FilterLine, FilterLine:focus { height: 1; border: none; padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Keep", key_display="enter"),
        Binding("escape", "clear", "All charts", key_display="esc"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__(text, placeholder="a part of a chart's name, or a regex", compact=True, select_on_focus=False)

    async def action_clear(self) -> None:
        self.value = ""
        await self.action_submit()

    def on_blur(self) -> None:
        self.remove()
