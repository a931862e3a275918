"""The pace of drawing: at once what comes after a pause, and so seldom that the training keeps its cores."""

import time
from collections.abc import Callable

from textual.app import App
from textual.timer import Timer

_FRAME_SECONDS = 0.1
_READING_FRAME_SECONDS = 0.3  # drawing more often takes longer than reading
_REST = 20  # times as long as a drawing took is none drawn: the training may need all cores


class Frames:
    """Calls `draw` for what is new: now, or when the frame of the last drawing is over."""

    def __init__(self, app: "App[int]", draw: Callable[[], None]) -> None:
        self._app = app
        self._draw = draw
        self._drawn = 0.0
        self._rest = _FRAME_SECONDS
        self._timer: Timer | None = None

    def draw_soon(self, *, is_reading: bool) -> None:
        """Draw what is new; while a journal `is_reading`, less often."""
        left = self._drawn + (_READING_FRAME_SECONDS if is_reading else self._rest) - time.monotonic()
        if left <= 0:
            self.draw()
        elif self._timer is None:
            self._timer = self._app.set_timer(left, self.draw)

    def draw(self) -> None:
        """Draw now."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self._app.is_running:  # the widgets are being taken down
            return
        self._drawn, began = time.monotonic(), time.thread_time()
        self._draw()
        self._rest = max(_FRAME_SECONDS, _REST * (time.thread_time() - began))

    def forget(self) -> None:
        """Show the next news at once."""
        self._drawn = 0.0
