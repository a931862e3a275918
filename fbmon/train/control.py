"""The user's commands to the running trainer: read at every block, carried out at once or when the step is over."""

import time
from collections import deque
from collections.abc import Callable
from typing import assert_never

from fbmon.events import Command, CommandTaken, Event, State
from fbmon.train.ranks.distribute import ALONE, Ranks

Emit = Callable[[Event], None]
NextCommand = Callable[[], CommandTaken | None]

# In ascending urgency: if ranks get different commands at once, all of them carry out the most urgent one.
_BY_URGENCY: tuple[Command, ...] = ("resume", "pause", "checkpoint", "stop_after_step", "stop", "preempt")
_PAUSE_SECONDS = 0.05  # between two checks for the command that ends a pause


class Interrupted(Exception):  # noqa: N818 - a wish, not an error
    """The wish of the user that the run end here."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class Beforehand:
    """The commands before the training has blocks: stops take effect at once, others are kept for the first block."""

    def __init__(self, emit: Emit, next_command: NextCommand) -> None:
        self._emit = emit
        self._next_command = next_command
        self._kept: deque[CommandTaken] = deque()

    def heed(self) -> None:
        """Look for a command. Raises Interrupted if it is to stop."""
        taken = self._next_command()
        if taken is None:
            return
        if taken.command in ("stop", "stop_after_step", "preempt"):
            self._emit(taken)
            raise Interrupted("preempted" if taken.command == "preempt" else "stopped")
        self._kept.append(taken)

    def next_command(self) -> CommandTaken | None:
        """Return the next command: first those kept, then new ones."""
        return self._kept.popleft() if self._kept else self._next_command()


class Control:
    """The commands during the training, the same on all ranks at the same block; each is reported.

    `paused_seconds` is the total time spent in pauses.
    """

    def __init__(self, emit: Emit, next_command: NextCommand, ranks: Ranks = ALONE) -> None:
        self.paused_seconds = 0.0
        self._emit = emit
        self._next_command = next_command
        self._ranks = ranks
        self._stop_after_step = False
        self._checkpoint_wanted = False

    def at_block(self) -> None:
        """Carry out the next command, if there is one; wait here during a pause. Raises Interrupted."""
        command = self._agreed()
        if command and self._take(command) == "pause":
            began = time.monotonic()
            try:
                self._wait_for_resume()
            finally:
                self.paused_seconds += time.monotonic() - began

    def after_step(self, save: Callable[[], object]) -> None:
        """Save if a checkpoint was asked for; raise Interrupted if this was to be the last step."""
        if self._checkpoint_wanted:
            self._checkpoint_wanted = False
            save()
        if self._stop_after_step:
            raise Interrupted("stopped")

    def _wait_for_resume(self) -> None:
        taken = ""
        while taken not in ("resume", "stop_after_step"):
            with self._ranks.away():
                time.sleep(_PAUSE_SECONDS)
            command = self._agreed()
            if command and command.command == "stop_after_step":  # for this the step has to go on
                self._emit(CommandTaken("resume", command.source))
            taken = self._take(command) if command else ""

    def _agreed(self) -> CommandTaken | None:
        """Return the command given to any rank; a signal to a whole job may reach one rank sooner than another."""
        asked = self._next_command()
        urgency = self._ranks.highest(1 + _BY_URGENCY.index(asked.command) if asked else 0)
        if not urgency:
            return None
        command = _BY_URGENCY[urgency - 1]
        return asked if asked and asked.command == command else CommandTaken(command, "another rank")

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
