"""What the user wants of the running trainer: asked at every block, done at once or when the step is over."""

import time
from collections.abc import Callable
from typing import assert_never

from fbmon.events import CommandTaken, Event, State

Emit = Callable[[Event], None]
NextCommand = Callable[[], CommandTaken | None]

_PAUSE_SECONDS = 0.05  # between two looks for the command that ends a pause


class Interrupted(Exception):  # noqa: N818 - a wish, not an error
    """The user wants the run to end here."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class Control:
    """Takes commands and tells each; `paused_seconds` is how long it has waited in all."""

    def __init__(self, emit: Emit, next_command: NextCommand) -> None:
        self.paused_seconds = 0.0
        self._emit = emit
        self._next_command = next_command
        self._stop_after_step = False
        self._checkpoint_wanted = False

    def at_block(self) -> None:
        """Carry out the next command, if there is one; a pause waits here. Raises Interrupted."""
        command = self._next_command()
        if command and self._take(command) == "pause":
            began = time.monotonic()
            try:
                self._wait_for_resume()
            finally:
                self.paused_seconds += time.monotonic() - began

    def after_step(self, save: Callable[[], None]) -> None:
        """Save if a checkpoint was asked for; raise Interrupted if this was to be the last step."""
        if self._checkpoint_wanted:
            self._checkpoint_wanted = False
            save()
        if self._stop_after_step:
            raise Interrupted("stopped")

    def _wait_for_resume(self) -> None:
        command = None
        while not (command and self._take(command) == "resume"):
            time.sleep(_PAUSE_SECONDS)
            command = self._next_command()

    def _take(self, taken: CommandTaken) -> str:
        self._emit(taken)
        match taken.command:
            case "stop":
                raise Interrupted("stopped")
            case "preempt":
                raise Interrupted("preempted")
            case "stop_after_step":
                self._stop_after_step = True
            case "checkpoint":
                self._checkpoint_wanted = True
            case "pause" | "resume":
                pass
            case _:
                assert_never(taken.command)
        return taken.command
