"""The list of other runs: mark those that are to lie over the one on the screen."""

from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from fbmon import metrics
from fbmon.compare import differences, glance, settings_of
from fbmon.folder import RunFolder
from fbmon.text import clean
from fbmon.ui.runs import MARKERS

_MOST = 200  # runs in the list, the newest: a glance at each costs a look into its journal


class ChooseScreen(ModalScreen[list[RunFolder] | None]):
    """Answers with the marked runs; None leaves everything as it is. Beside the list: what differs."""

    DEFAULT_CSS = """
    ChooseScreen { align: center middle; }
    ChooseScreen > Vertical {
        width: 120; max-width: 100%; height: 24; max-height: 100%; padding: 0 1;
        background: $surface; border: round $primary;
    }
    ChooseScreen Horizontal { height: 1fr; }
    ChooseScreen SelectionList { width: 3fr; height: 100%; border: none; padding: 0; scrollbar-size: 1 1; }
    ChooseScreen VerticalScroll { width: 2fr; padding: 0 0 0 2; scrollbar-size: 1 1; }
    ChooseScreen #hint { height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "done", "Show", priority=True),
        Binding("escape,q,o", "dismiss(None)", "As it was"),
    ]

    def __init__(self, run: RunFolder, others: list[RunFolder], marked: set[str]) -> None:
        super().__init__()
        self._run = run
        self._others = {folder.name: folder for folder in others[:_MOST]}
        self._marked = marked
        self._settings: dict[str, dict[str, Any]] = {}

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Other runs over this one", id="title")
            with Horizontal():
                yield SelectionList[str](*map(self._selection, self._others.values()), id="runs")
                with VerticalScroll(can_focus=False):
                    yield Static(id="difference")
            yield Static("space mark   enter show   esc as it was", id="hint")

    def on_mount(self) -> None:
        self._explain()

    def action_done(self) -> None:
        chosen = set(self.query_one(SelectionList).selected)
        self.dismiss([folder for name, folder in self._others.items() if name in chosen][: len(MARKERS)])

    @on(SelectionList.SelectionHighlighted)
    @on(SelectionList.SelectedChanged)
    def _changed(self) -> None:
        self._explain()

    def _selection(self, folder: RunFolder) -> Selection[str]:
        seen = glance(folder)
        accuracy = metrics.show("val_accuracy", seen.val_accuracy)
        words = f"{clean(folder.name, 40):<34} {clean(seen.state):<9} {seen.step:>6}/{seen.steps:<6} {accuracy}"
        return Selection(Content(words), folder.name, folder.name in self._marked)

    def _explain(self) -> None:
        """How the recipe of the run under the bar differs from that of the run on the screen."""
        runs = self.query_one(SelectionList)
        if runs.highlighted is None:
            self.query_one("#difference", Static).update(Text("There is no other run in this folder.", "dim"))
            return
        name = str(runs.get_option_at_index(runs.highlighted).value)
        found = differences(self._settings_of(self._others[name]), self._settings_of(self._run))
        words = Text("here, and in the run on the screen\n", "dim")
        for key, (here, there) in found.items():
            words.append(f"{clean(key)}  ", "bold")
            words.append(f"{clean(str(here), 40)}  ({clean(str(there), 40)})\n")
        self.query_one("#difference", Static).update(words if found else Text("The same recipe.", "dim"))

    def _settings_of(self, folder: RunFolder) -> dict[str, Any]:
        if folder.name not in self._settings:
            self._settings[folder.name] = settings_of(folder)
        return self._settings[folder.name]
