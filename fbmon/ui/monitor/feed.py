"""A thread between the run and the screen: it polls and posts, and does nothing else."""

import threading
from collections.abc import Iterator
from typing import Protocol

from textual.app import App
from textual.message import Message

from fbmon.events import Command, Event
from fbmon.run import RunFolder


class Source(Protocol):
    """All that a screen knows of a run."""

    @property
    def folder(self) -> RunFolder:
        """Return where its files are."""

    @property
    def unread(self) -> float:
        """The share of its journal that is yet to come, from 1 to 0."""

    def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
        """Batches of events, possibly empty, until the run is gone and all is told."""

    def ask(self, command: Command, source: str) -> None:
        """Lay a command into its inbox."""


class EventsArrived(Message):
    """The events of the run since the last message, and the share of its journal that is yet to come."""

    def __init__(self, events: list[Event], unread: float) -> None:
        super().__init__()
        self.events = events
        self.unread = unread


class SourceClosed(Message):
    """The run is gone, and everything it told has been posted."""


class SourceFailed(Message):
    """The run can no longer be read."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Feed:
    """Posts the events of `source` to `app` until the run is gone or `stop` is called.

    Never runs ahead of the app by more than two messages: a long journal, or a terminal that nobody reads, costs no
    memory. The app says of each message that it has `handled` it.
    """

    _AHEAD = 2

    def __init__(self, source: Source, app: "App[int]") -> None:
        self._source = source
        self._app = app
        self._stopped = threading.Event()
        self._room = threading.Semaphore(self._AHEAD)
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def handled(self) -> None:
        self._room.release()

    def stop(self) -> None:
        self._stopped.set()
        self._room.release()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # whatever it is: a screen that goes on without its feed would not tell the truth
            self._app.post_message(SourceFailed(error))

    def _follow(self) -> None:
        unread = 0.0
        for events in self._source.follow():
            news = bool(events) or self._source.unread != unread  # lines may be damaged to the last
            unread = self._source.unread
            if news:
                self._room.acquire()
            if self._stopped.is_set():
                return
            if news:
                self._app.post_message(EventsArrived(events, unread))
        self._app.post_message(SourceClosed())
