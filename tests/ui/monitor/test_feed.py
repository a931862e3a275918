"""The thread between the run and the screen: it never runs ahead."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from textual.app import App
from textual.message import Message

from fbmon.events import Command, Event, StepTaken
from fbmon.run import RunFolder
from fbmon.ui.monitor.feed import EventsArrived, Feed, SourceClosed
from tests.shell import PROMPTLY, until


class Counting:
    """A run with a hundred steps to tell, one at a time."""

    folder = RunFolder(Path())
    unread = 0.0

    def __init__(self) -> None:
        self.told = 0

    def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
        del interval
        for step in range(1, 101):
            self.told = step
            yield [StepTaken(step, {})]

    def ask(self, command: Command, source: str) -> None: ...


class Busy:
    """An app that gets messages and does not come to handle them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def post_message(self, message: Message) -> bool:
        self.messages.append(message)
        return True


def test_no_more_than_two_messages_wait_for_an_app_that_is_busy() -> None:
    source, app = Counting(), Busy()
    feed = Feed(source, cast("App[int]", app))
    feed.start()

    until(lambda: source.told == 3)
    time.sleep(0.1)  # in which more would come
    assert (len(app.messages), source.told) == (2, 3)
    feed.handled()
    until(lambda: len(app.messages) == 3)
    for _ in range(97):
        feed.handled()
    until(lambda: len(app.messages) == 101)

    assert all(isinstance(message, EventsArrived) for message in app.messages[:-1])
    assert isinstance(app.messages[-1], SourceClosed)


def test_a_feed_that_waits_for_a_busy_app_stops_at_once() -> None:
    app = Busy()
    feed = Feed(Counting(), cast("App[int]", app))
    feed.start()
    until(lambda: len(app.messages) == 2)

    feed.stop()

    until(lambda: not feed._thread.is_alive(), PROMPTLY)
    assert len(app.messages) == 2
