"""The line in which the filter of the charts is typed."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class FilterLine(Input):
    """Tells the text as it is typed; goes away when it is left, and with escape the filter too."""

    DEFAULT_CSS = """
    FilterLine, FilterLine:focus { height: 1; border: none; padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", show=False)]

    def __init__(self, text: str) -> None:
        words = "show charts with this in their name (or a regex); enter keeps it, esc shows all"
        super().__init__(text, placeholder=words, compact=True, select_on_focus=False)

    async def action_clear(self) -> None:
        self.value = ""
        await self.action_submit()

    def on_blur(self) -> None:
        self.remove()
