"""Reads the runs that lie over the one on the screen: a thread of its own, which follows those still running."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from textual.app import App
from textual.message import Message

from fbmon.compare.settings import read_settings
from fbmon.events import Event
from fbmon.run import RunFolder
from fbmon.run.journal import Tail
from fbmon.store.store import Store

_SECONDS = 1.0  # between two looks at the journals


class OtherRead(Message):
    """A run has been read as far as it goes; the store belongs to the screen from now on."""

    def __init__(self, folder: RunFolder, store: Store, settings: dict[str, Any], is_over: Callable[[], bool]) -> None:
        super().__init__()
        self.is_over = is_over  # whether other runs were chosen meanwhile
        self.folder = folder
        self.store = store
        self.settings = settings


class OtherTold(Message):
    """The news of a run that was read."""

    def __init__(self, folder: RunFolder, events: list[Event], is_over: Callable[[], bool]) -> None:
        super().__init__()
        self.is_over = is_over
        self.folder = folder
        self.events = events


class Others:
    """Posts the runs of `follow` to `app`, one after the other, then what they go on to tell."""

    def __init__(self, app: "App[int]") -> None:
        self._app = app
        self._stopped = threading.Event()
        self._stopped.set()

    def follow(self, folders: Sequence[RunFolder]) -> None:
        """Read these from now on and no others."""
        self.stop()
        self._stopped = threading.Event()
        arguments = (list(folders), self._stopped)
        threading.Thread(target=self._run, args=arguments, name="others", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self, folders: list[RunFolder], stopped: threading.Event) -> None:
        tails = [(folder, Tail(folder.journal)) for folder in folders]
        for folder, tail in tails:
            store = Store()
            for event in tail.read():
                store.apply(event)
            if stopped.is_set():
                return
            self._app.post_message(OtherRead(folder, store, read_settings(folder.resolved), stopped.is_set))
        while tails and not stopped.wait(_SECONDS):
            for folder, tail in tails:
                events = tail.read()
                if events and not stopped.is_set():
                    self._app.post_message(OtherTold(folder, events, stopped.is_set))
