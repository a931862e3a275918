"""A thread that reads the journals of the runs in sight, follows those that go on, and posts what it finds."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import App
from textual.message import Message

from fbmon.compare import Run
from fbmon.compare import read as read_run
from fbmon.run import RunFolder
from fbmon.run.journal import Tail
from fbmon.run.journal_columns import Stretch, read
from fbmon.store.bulk import Read, read_store
from fbmon.store.notes import Note
from fbmon.store.store import Store

_SECONDS = 1.0  # between two looks at the journals


class RunRead(Message):
    """A run has been read as far as it goes; the store, which has no notes, belongs to the screen from now on."""

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__()
        self.path = path
        self.store = store


class RunGrown(Message):
    """The news of a run that was read."""

    def __init__(self, path: Path, stretch: Stretch) -> None:
        super().__init__()
        self.path = path
        self.stretch = stretch


class NotesRead(Message):
    """The events of the run whose events are wanted."""

    def __init__(self, path: Path, notes: list[Note]) -> None:
        super().__init__()
        self.path = path
        self.notes = notes


class RunsSeen(Message):
    """Runs that go on, as they stand in the table now."""

    def __init__(self, runs: list[Run]) -> None:
        super().__init__()
        self.runs = runs


@dataclass(frozen=True)
class Wanted:
    """The wishes of the screen: curves of some runs, the events of one, and news of those that go on."""

    curves: tuple[Path, ...] = ()
    events: Path | None = None
    alive: tuple[Path, ...] = ()


class Reader:
    """Posts what is `wanted` to `app`: first the curves, run by run, then the events, then news once a second.

    `begun` are journals that others are reading already.
    """

    def __init__(self, app: "App[int]", begun: Mapping[Path, Callable[[], Read]] | None = None) -> None:
        self._begun = dict(begun or {})
        self._app = app
        self._wanted = Wanted()
        self._woken = threading.Event()
        self._stopped = False
        self._curves: dict[Path, Tail] = {}
        self._events: tuple[Path, Tail, Store] | None = None
        self._known: dict[Path, Run] = {}
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._woken.set()
        self._thread.join(timeout=1)

    def want(self, wishes: Wanted) -> None:
        """Want this from now on; curves that are no longer wanted are forgotten, and read anew when they are again.

        They are forgotten here and now, as by the screen: the thread may have something long in hand, and would not see
        that they were not wanted for a while.
        """
        if wishes != self._wanted:
            paths = tuple(self._curves)  # in one go, as the thread adds to it
            for gone in set(paths).difference(wishes.curves):
                self._curves.pop(gone, None)
            self._wanted = wishes
            self._woken.set()

    def _run(self) -> None:
        while not self._stopped:
            self._woken.clear()
            wishes = self._wanted
            self._read_curves(wishes.curves)
            self._read_events(wishes.events)
            self._look_at(wishes.alive)
            self._woken.wait(_SECONDS)

    def _read_curves(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if self._woken.is_set():  # something else is wanted by now
                return
            tail = self._curves.get(path)
            if tail is None:
                self._read_first(path)
            elif (stretch := read(tail.read_lines())).parts:
                self._post(RunGrown(path, stretch))

    def _read_first(self, path: Path) -> None:
        journal = RunFolder(path).journal
        try:
            store, offset = self._begun.pop(journal)()
        except Exception:  # not begun, or whoever was to read it is gone
            store, offset = read_store(journal)
        tail = self._curves[path] = Tail(journal)
        tail.offset = offset
        self._post(RunRead(path, store))

    def _read_events(self, path: Path | None) -> None:
        if path is None or self._woken.is_set():
            return
        is_new = self._events is None or self._events[0] != path
        if self._events is None or is_new:
            self._events = (path, Tail(RunFolder(path).journal), Store())
        _, tail, store = self._events
        events = tail.read()
        for event in events:
            store.apply(event)
        if events or is_new:
            self._post(NotesRead(path, list(store.notes)))

    def _look_at(self, paths: Sequence[Path]) -> None:
        if self._woken.is_set():
            return
        seen = [read_run(RunFolder(path)) for path in paths]
        news = [run for run in seen if self._known.get(run.path) != run]
        self._known |= {run.path: run for run in news}
        if news:
            self._post(RunsSeen(news))

    def _post(self, message: Message) -> None:
        if not self._stopped:
            self._app.post_message(message)
