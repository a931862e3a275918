"""The list of other runs: mark those that are to lie over the one on the screen."""

from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from fbmon import metrics
from fbmon.compare import read
from fbmon.compare.cut import cells, told_apart
from fbmon.compare.facts import show_plain
from fbmon.compare.settings import differences, read_settings
from fbmon.run import RunFolder
from fbmon.text import clean
from fbmon.ui.charts.other import MARKERS
from fbmon.ui.dialogs.dialog import Dialog

_WIDTH = 120  # cells, at most
_MOST = 200  # runs in the list, the newest: a glance at each costs a look into its journal


class ChooseScreen(Dialog[list[RunFolder] | None]):
    """Answers with the marked runs; None leaves everything as it is. Beside the list: what differs."""

    DEFAULT_CSS = """
    ChooseScreen > Vertical { width: 120; height: 24; }
    ChooseScreen Horizontal { height: 1fr; }
    ChooseScreen OptionList {
        width: 3fr; height: 100%; padding: 0; scrollbar-size: 1 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ChooseScreen OptionList, ChooseScreen OptionList:focus { border: none; }
    ChooseScreen VerticalScroll { width: 2fr; padding: 0 0 0 2; scrollbar-size: 1 1; }
    ChooseScreen #hint { height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", priority=True),
        Binding("enter", "done", "Show", priority=True),
        Binding("escape,q,o", "dismiss(None)", "Cancel"),
    ]

    def __init__(self, run: RunFolder, others: list[RunFolder], marked: list[str]) -> None:
        super().__init__()
        self._run = run
        self._others = others[:_MOST]
        self._marked = [name for name in marked if any(folder.name == name for folder in self._others)]
        self._settings: dict[str, dict[str, Any]] = {}
        self._told = {folder.name: _told(folder) for folder in self._others}
        self._shown: dict[str, str] = {}  # every name as far as there is room

    def compose(self) -> ComposeResult:
        names = [folder.name for folder in self._others]
        self._shown = dict(zip(names, told_apart([clean(name, 400) for name in names], self._room()), strict=True))
        with Vertical():
            yield Static("Overlay other runs")
            with Horizontal():
                yield OptionList(*(Option(self._prompt(folder.name)) for folder in self._others), markup=False)
                with VerticalScroll(can_focus=False):
                    yield Static(id="difference")
            yield Static("space mark   enter show   esc cancel", id="hint")

    def on_mount(self) -> None:
        self._explain()

    def action_mark(self) -> None:
        """Mark the run under the bar, or take its mark away."""
        folder = self._under_the_bar()
        if folder is None:
            return
        if folder.name in self._marked:
            self._marked.remove(folder.name)
        elif len(self._marked) < len(MARKERS):
            self._marked.append(folder.name)
        runs = self.query_one(OptionList)
        for index, other in enumerate(self._others):
            runs.replace_option_prompt_at_index(index, self._prompt(other.name))

    def action_done(self) -> None:
        by_name = {folder.name: folder for folder in self._others}
        self.dismiss([by_name[name] for name in self._marked])

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        self._explain()

    def _room(self) -> int:
        """Cells for a name: what is left beside all that is told, or beside its first half where that is too little."""
        room = (min(_WIDTH, self.app.size.width) - 4) * 3 // 5 - 1 - 2
        return min(40, room - 31) if room - 31 >= 24 else max(12, room - 18)

    def _prompt(self, name: str) -> Content:
        """The line of a run behind the marker that its curves have."""
        marker = MARKERS[self._marked.index(name)] if name in self._marked else " "
        width = max(map(cells, self._shown.values()))
        return Content(f"{marker} {self._shown[name]}{' ' * (width - cells(self._shown[name]))} {self._told[name]}")

    def _under_the_bar(self) -> RunFolder | None:
        index = self.query_one(OptionList).highlighted
        return None if index is None else self._others[index]

    def _explain(self) -> None:
        """Return how the recipe of the run under the bar differs from that of the run on the screen."""
        folder = self._under_the_bar()
        words = self._difference(folder) if folder else Text("There is no other run in this folder.", "dim")
        self.query_one("#difference", Static).update(words)

    def _difference(self, folder: RunFolder) -> Text:
        differing = differences(self._settings_of(folder), self._settings_of(self._run))
        if not differing:
            return Text("The same recipe.", "dim")
        words = Text("its settings (those on the screen)\n", "dim")
        for key, (there, here) in differing.items():
            words.append(f"{clean(key)}  ", "bold")
            words.append(f"{clean(show_plain(there), 40)}  ({clean(show_plain(here), 40)})\n", "not dim")
        return words

    def _settings_of(self, folder: RunFolder) -> dict[str, Any]:
        if folder.name not in self._settings:
            self._settings[folder.name] = read_settings(folder.resolved)
        return self._settings[folder.name]


def _told(folder: RunFolder) -> str:
    run = read(folder)
    accuracies = run.summary.metrics.get("val_accuracy")
    accuracy = metrics.show("val_accuracy", accuracies.final if accuracies else None)
    steps = f"{run.summary.step}/{run.steps}"
    return f"{accuracy:>7} {clean(run.state):<9} {steps:>11}"
