"""The monitor: one run, live or ended, on one screen."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from fbmon.events import Command, DeviceSampled, ProgressMade
from fbmon.run import Life, RunFolder, every
from fbmon.store.store import Store
from fbmon.text import clean
from fbmon.ui.charts import preferences
from fbmon.ui.charts.board import Board
from fbmon.ui.charts.charts import Charts
from fbmon.ui.charts.display import Display
from fbmon.ui.charts.events_list import EventList
from fbmon.ui.charts.footer import KeysFooter
from fbmon.ui.charts.keys import GROUPS, app_bindings
from fbmon.ui.charts.other import MARKERS, Other
from fbmon.ui.charts.overlay import Overlay
from fbmon.ui.charts.overlay_curves import OverlayCurves
from fbmon.ui.charts.status import detail_line, end_lines, others_lines, state_line
from fbmon.ui.dialogs.leave import Answer, LeaveScreen
from fbmon.ui.dialogs.question import Question
from fbmon.ui.monitor.devices import DevicesPanel, devices
from fbmon.ui.monitor.feed import EventsArrived, Feed, Source, SourceClosed, SourceFailed
from fbmon.ui.monitor.frames import Frames
from fbmon.ui.terminal.terminal import TerminalApp

if TYPE_CHECKING:
    from fbmon.ui.monitor.others import OtherRead, Others, OtherTold

_CLOCK_SECONDS = 1.0


class MonitorApp(TerminalApp):
    """Shows the store of one run; `q` leaves, and where the screen does not stay, so does the end of the run."""

    TITLE = "fbmon"
    CSS_PATH = "monitor.tcss"
    KEYS = GROUPS
    BINDINGS: ClassVar[list[BindingType]] = [*app_bindings(GROUPS)]

    def __init__(
        self, source: Source, settings_file: Path | None = None, *, stays: bool = True, place: str = ""
    ) -> None:
        super().__init__(settings_file)
        self.store = Store()
        self.runs = Overlay(self.store)
        self._source = source
        self._feed = Feed(source, self)
        self._others: Others | None = None
        self._alive = True
        self._trace = ""  # of a run of which nothing is heard any more, and which may go on
        self._place = place  # of the run among those of a table, before its name
        self._leaving = not stays  # as soon as the run is gone
        self._frames = Frames(self, self._redraw)
        self._unread = 0.0
        self._last_sign = time.monotonic()
        self._began = time.monotonic()  # when the run began, by this process's clock

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield Static(id="detail")
        yield Static(id="ended")
        charts, events = Charts(self.runs.charts()), EventList(takes_room=False)
        display = Display(OverlayCurves(self.runs), preferences.to_view(self._settings), charts, events)
        self._others_lines = Static(id="others")
        widgets = (charts, self._others_lines, display.line, events)
        yield Board(display, self._source.folder.name, GROUPS, *widgets, id="board")
        yield DevicesPanel()
        yield KeysFooter(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._frames.draw()
        self._frames.forget()
        self._clock = self.set_interval(_CLOCK_SECONDS, self._show_status)
        self._feed.start()

    def on_unmount(self) -> None:
        self._feed.stop()
        if self._others:
            self._others.stop()

    @property
    def board(self) -> Board:
        return self.screen_stack[0].query_one(Board)

    def on_events_arrived(self, message: EventsArrived) -> None:
        listened = self.store.listens
        for event in message.events:
            self.store.apply(event)
        if self.store.listens != listened:
            self.refresh_bindings()
        self._feed.handled()
        self._unread = message.unread
        if not all(isinstance(event, DeviceSampled) for event in message.events):  # that is the supervisor's sign
            self._last_sign = time.monotonic()
        self._began = min(self._began, time.monotonic() - max(self.store.elapsed, self.store.sampled))
        if all(isinstance(event, ProgressMade) for event in message.events):
            self._show_status()  # ten times a second; no chart has a new point
        else:
            self._draw_soon()

    def on_source_closed(self, _message: SourceClosed) -> None:
        self._alive = False
        self._clock.stop()
        if self.store.ended is None:
            seen = self._source.folder.look()
            self._trace = seen.trace if seen.life is Life.UNKNOWN else ""
        self.refresh_bindings()
        self._draw_soon()
        if self._leaving:
            self.exit()
        elif isinstance(self.screen, Question):  # there is nothing left to ask
            self.pop_screen()

    def on_source_failed(self, message: SourceFailed) -> None:
        raise message.error

    def on_resize(self) -> None:
        self.call_later(self._draw_soon)  # Textual's own handler comes after this one, and only then is the size known

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Neither an ended run nor one that does not listen is offered a pause."""
        if action in ("pause", "save"):
            return self._alive and self.store.listens
        return super().check_action(action, parameters)

    async def action_quit(self) -> None:
        """Textual's own way out asks the same question as `q`."""
        self.action_leave()

    def action_leave(self) -> None:
        """Ask what becomes of a running run; leave an ended one at once."""
        if not self._alive or not self.store.listens:
            self.exit()
        elif self.store.ended:  # it has said its last word: leave as soon as it is gone
            self._leaving = True
        elif not isinstance(self.screen, LeaveScreen):
            self.push_screen(LeaveScreen(clean(self._source.folder.name)), self._answered)

    def action_pause(self) -> None:
        """Ask whether to pause the training, or to let it go on."""
        if self.store.paused_since is not None:
            self._confirm("The training is paused.", "Go on", "resume")
        else:
            kept = "memory and its GPU" if any(name.startswith("cuda") for name in self.store.devices) else "memory"
            self._confirm(f"Pause the training at its next block? It keeps its {kept}.", "Pause", "pause")

    def action_save(self) -> None:
        """Ask whether to save a checkpoint."""
        self._confirm("Save a checkpoint when this step is over?", "Save", "checkpoint")

    def _confirm(self, question: str, yes: str, command: Command) -> None:
        from fbmon.ui.dialogs.confirm import ConfirmScreen

        def answered(is_confirmed: bool | None) -> None:
            if is_confirmed:
                self._source.ask(command, "the screen")

        if len(self.screen_stack) == 1:
            self.push_screen(ConfirmScreen(question, yes), answered)

    def action_others(self) -> None:
        """Choose the runs that lie over this one."""
        from fbmon.ui.dialogs.choose import ChooseScreen

        here = self._source.folder
        folders = [folder for folder in every(here.path.parent) if folder.name != here.name]
        marked = [other.name for other in self.runs.others]
        self.push_screen(ChooseScreen(here, folders, marked), self._chosen)

    def _chosen(self, folders: list[RunFolder] | None) -> None:
        from fbmon.ui.monitor.others import Others

        if folders is None:
            return
        self._others = self._others or Others(self)
        self.runs.clear()
        self._show_others()
        self._others.follow(folders)

    def on_other_read(self, message: "OtherRead") -> None:
        from fbmon.compare.settings import differences, read_settings

        if message.is_over():
            return
        others = self.runs.others
        differing = differences(message.settings, read_settings(self._source.folder.resolved))
        others.append(Other(message.folder.name, message.store, MARKERS[len(others)], differing))
        self._show_others()

    def on_other_told(self, message: "OtherTold") -> None:
        for other in self.runs.others:
            if other.name == message.folder.name and not message.is_over():
                for event in message.events:
                    other.store.apply(event)
        self._draw_soon()

    def action_group(self) -> None:
        """Show the other seeds of this recipe as their mean and a band, or each by itself."""
        display = self.board.curves_display
        if not display.view.grouped and not any(other.is_seed for other in self.runs.others):
            self.notify("No other seed of this recipe is shown; `o` overlays other runs.", markup=False)
            return
        display.change(replace(display.view, grouped=not display.view.grouped))

    def _show_others(self) -> None:
        """Name the runs over this one, and what is other in them."""
        self._others_lines.display = bool(self.runs.others)
        self._others_lines.update(others_lines(self.runs.others))
        self.board.show()

    def _answered(self, answer: Answer | None) -> None:
        if answer == "leave":
            self.exit()
        elif answer is not None:
            self._leaving = True
            self._source.ask(answer, "the screen")
            when = "at the next block" if answer == "stop" else "after this step"
            self.notify(f"Stopping {when}; the state is saved first.", markup=False)

    def _draw_soon(self) -> None:
        self._frames.draw_soon(is_reading=bool(self._unread))

    def _redraw(self) -> None:
        self.board.show()
        trains_on = self.store.plan.device if self.store.plan else ""
        self.query_one(DevicesPanel).show(devices(self.store), trains_on)
        self._show_status()
        self._show_end()

    def _show_status(self) -> None:
        if not self.is_running:
            return
        width = max(0, self.size.width - 2)
        silent = time.monotonic() - self._last_sign
        name = ": ".join(filter(None, (self._place, self._source.folder.name)))
        elapsed = time.monotonic() - self._began if self._alive else self.store.elapsed
        state = state_line(
            self.store,
            name,
            alive=self._alive,
            silent=silent,
            unread=self._unread,
            width=width,
            is_unknown=bool(self._trace),
        )
        detail = detail_line(self.store, elapsed, alive=self._alive and not self._unread, width=width)
        # One line each for ever: without a new layout, which would render every chart again.
        for selector, line in (("#state", state), ("#detail", detail)):
            shown = self.query_one(selector, Static)
            if shown.content != line:
                shown.update(line, layout=False)

    def _show_end(self) -> None:
        ended = self.store.ended
        if self._alive or (ended is not None and ended.state == "finished"):
            return
        banner, log = self.query_one("#ended", Static), self._source.folder.log
        banner.update(end_lines(ended, self._trace, log if log.exists() else None))
        banner.display = True
