"""The help screen: every key of the monitor."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from fbmon.store.notes import Kind
from fbmon.ui.charts.keys import GROUPS, Key
from fbmon.ui.charts.signs import SIGNS
from fbmon.ui.dialogs.dialog import Dialog

_MEANINGS: dict[Kind, str] = {
    "clipping": "clipping engaged; a dot under every clipped step", "spike": "a norm far above its recent level",
    "nonfinite": "not finite: infinite or not a number", "best": "best validation so far", "validation": "validation",
    "rate": "a phase of the learning rate begins", "edge": "the edge of stability",
    "checkpoint": "checkpoint", "stall": "a step that came late", "divergence": "the loss stays far above its start",
    "command": "a command", "resume": "resumed from a checkpoint", "end": "the end",
}  # fmt: skip


class HelpScreen(Dialog[None]):
    """The help, what the keys do and what the signs mean; it scrolls where it does not fit."""

    DEFAULT_CSS = """
    HelpScreen > VerticalScroll { width: 76; height: auto; padding: 1 2; scrollbar-size: 1 1; }
    HelpScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,h,f1,enter", "dismiss(None)", "Close"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, groups: Mapping[str, Sequence[Key]] = GROUPS) -> None:
        super().__init__()
        self._groups = groups

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Text("↑ ↓ scroll   esc close", "dim"))
            for title, keys in self._groups.items():
                yield Static(_table(title, [(key.shown, key.help) for key in keys if key.shown]))
            yield Static(_table("Signs", [(SIGNS[kind], meaning) for kind, meaning in _MEANINGS.items()]))

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)


def _table(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), title=Text(title, "bold"), title_justify="left")
    table.add_column(no_wrap=True, width=10)
    table.add_column()
    for keys, words in rows:
        table.add_row(Text(keys, "bold"), Text(words))
    return table
