"""The monitor: one run, live or ended, on one screen."""

import time
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Footer, RichLog, Static

from fbmon.events import DeviceSampled, ProgressMade
from fbmon.notes import Note
from fbmon.store import Store
from fbmon.text import clean, clean_lines, duration
from fbmon.ui.chart import ChartView
from fbmon.ui.feed import EventsArrived, Feed, Source, SourceClosed
from fbmon.ui.leave import Answer, LeaveScreen
from fbmon.ui.plots import NAMES, plots
from fbmon.ui.status import detail_line, state_line

_FRAME_SECONDS = 0.1
_LEVEL_STYLES = {"info": "", "good": "green", "warning": "yellow", "error": "bold red"}


class MonitorApp(App[int]):
    """Shows the store of one run; `q` leaves."""

    TITLE = "fbmon"
    CSS_PATH = "monitor.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-medium"), (38, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Leave or stop"),
        Binding("ctrl+q,ctrl+c", "leave", show=False),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.store = Store()
        self._source = source
        self._feed = Feed(source, self)
        self._alive = True
        self._stopping = False
        self._changed = True
        self._notes_shown = 0
        self._last_sign = time.monotonic()
        self._began = time.monotonic()  # when the run began, by this process's clock

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield Static(id="detail")
        yield Static(id="ended")
        with Container(id="charts"):
            for name in NAMES:
                yield ChartView(id=name)
        yield RichLog(id="events", wrap=False, markup=False, highlight=False, max_lines=10_000)
        yield Footer()

    def on_mount(self) -> None:
        self._redraw()
        self.set_interval(_FRAME_SECONDS, self._draw_if_changed)
        self.set_interval(1.0, self._show_status)
        self._feed.start()

    def on_unmount(self) -> None:
        self._feed.stop()

    def on_events_arrived(self, message: EventsArrived) -> None:
        for event in message.events:
            self.store.apply(event)
        if not all(isinstance(event, DeviceSampled) for event in message.events):  # that is the supervisor's sign
            self._last_sign = time.monotonic()
        self._began = min(self._began, time.monotonic() - self.store.elapsed)
        if all(isinstance(event, ProgressMade) for event in message.events):
            self._show_status()  # ten times a second; no chart has a new point
        else:
            self._changed = True

    def on_source_closed(self, _message: SourceClosed) -> None:
        self._alive = False
        self._changed = True
        if self._stopping:
            self.exit()
        elif isinstance(self.screen, LeaveScreen):  # there is nothing left to ask
            self.pop_screen()

    def on_resize(self) -> None:
        self._changed = True

    def action_leave(self) -> None:
        """Ask what becomes of a running run; leave an ended one at once."""
        if not self._alive:
            self.exit()
        elif not isinstance(self.screen, LeaveScreen):
            self.push_screen(LeaveScreen(clean(self._source.folder.name)), self._answered)

    def _answered(self, answer: Answer | None) -> None:
        if answer == "leave":
            self.exit()
        elif answer == "stop":
            self._stopping = True
            self._source.ask("stop", "the screen")
            self.notify("Stopping at the next block; the state is saved first.", markup=False)

    def _draw_if_changed(self) -> None:
        if self._changed:
            self._redraw()

    def _redraw(self) -> None:
        self._changed = False
        made = plots(self.store)
        for chart in self.query(ChartView):
            if chart.display and chart.id:
                chart.show(made[chart.id])
        self._show_status()
        self._show_notes()
        self._show_end()

    def _show_status(self) -> None:
        width = max(0, self.size.width - 2)
        silent = time.monotonic() - self._last_sign
        name = self._source.folder.name
        elapsed = time.monotonic() - self._began if self._alive else self.store.elapsed
        state = state_line(self.store, name, alive=self._alive, silent=silent, width=width)
        detail = detail_line(self.store, elapsed, alive=self._alive, width=width)
        # One line each for ever: without a new layout, which would render every chart again.
        self.query_one("#state", Static).update(state, layout=False)
        self.query_one("#detail", Static).update(detail, layout=False)

    def _show_notes(self) -> None:
        events = self.query_one("#events", RichLog)
        for note in self.store.notes[self._notes_shown :]:
            events.write(_line(note))
        self._notes_shown = len(self.store.notes)

    def _show_end(self) -> None:
        ended = self.store.ended
        if self._alive or (ended is not None and ended.state == "finished"):
            return
        reason = (
            ended.reason if ended else "The training is gone and left no last word: killed, or the machine went down."
        )
        hint = f"\n{ended.hint}" if ended and ended.hint else ""
        banner = self.query_one("#ended", Static)
        banner.update(Text(clean_lines(f"{reason}{hint}\nLog: {self._source.folder.log}")))
        banner.display = True


def _line(note: Note) -> Text:
    place = f"{duration(note.elapsed):>8}  step {note.step:>5}  "
    return Text.assemble((place, "dim"), (clean(note.text), _LEVEL_STYLES[note.level]))
