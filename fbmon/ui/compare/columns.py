"""The question which columns the table is to have."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from fbmon.compare.differing import differing
from fbmon.compare.facts import FACTS
from fbmon.compare.fields import AGGREGATES
from fbmon.compare.sheet import Sheet
from fbmon.text import clean
from fbmon.ui.dialogs.dialog import Dialog


class ColumnsScreen(Dialog[list[str] | None]):
    """Answers with the names of the columns, in their order; None leaves everything as it is."""

    DEFAULT_CSS = """
    ColumnsScreen > Vertical { width: 64; height: 30; }
    ColumnsScreen SelectionList { height: 1fr; border: none; padding: 0; scrollbar-size: 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "done", "Show", priority=True),
        Binding("escape,q,C", "dismiss(None)", "Cancel"),
    ]

    def __init__(self, sheet: Sheet) -> None:
        super().__init__()
        self._shown = [column.name for column in sheet.columns]
        self._names = offered(sheet)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Columns of the table")
            yield SelectionList[str](
                *(Selection(Content(clean(name, 60)), name, name in self._shown) for name in self._names)
            )
            yield Static("space choose   enter show   esc cancel")

    def action_done(self) -> None:
        chosen = self.query_one(SelectionList).selected
        self.dismiss([name for name in self._names if name in chosen])


def offered(sheet: Sheet) -> list[str]:
    """Return those that are shown, then everything else that is known of these runs."""
    shown = [column.name for column in sheet.columns]
    measured = dict.fromkeys(name for run in sheet.runs for name in run.summary.metrics)
    of_metrics = [f"{aggregate}.{name}" for name in measured for aggregate in AGGREGATES]
    settings = dict.fromkeys([*differing(sheet.runs), *(key for run in sheet.runs for key in run.settings)])
    return list(dict.fromkeys([*shown, *FACTS, *of_metrics, *settings]))
