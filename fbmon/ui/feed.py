"""A thread between the run and the screen: it polls and posts, and does nothing else."""

import threading
from collections.abc import Iterator
from typing import Protocol

from textual.app import App
from textual.message import Message

from fbmon.events import Command, Event
from fbmon.folder import RunFolder


class Source(Protocol):
    """All that a screen knows of a run."""

    @property
    def folder(self) -> RunFolder:
        """Where its files are."""

    def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
        """Batches of events, possibly empty, until the run is gone and all is told."""

    def ask(self, command: Command, source: str) -> None:
        """Lay a command into its inbox."""


class EventsArrived(Message):
    """What the run has told since the last message."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.events = events


class SourceClosed(Message):
    """The run is gone, and everything it told has been posted."""


class Feed:
    """Posts the events of `source` to `app` until the run is gone or `stop` is called."""

    def __init__(self, source: Source, app: "App[int]") -> None:
        self._source = source
        self._app = app
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        for events in self._source.follow():
            if self._stopped.is_set():
                return
            if events:
                self._app.post_message(EventsArrived(events))
        self._app.post_message(SourceClosed())
