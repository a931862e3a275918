"""What one rank does: open the journal, then import torch and train; every fact goes to the journal, then the queue."""

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec

import fbmon
from fbmon import folder as folders
from fbmon import recipe as recipes
from fbmon.errors import Exit, FbmonError
from fbmon.events import CommandTaken, Event, PhaseEntered, ProgressMade, RunEnded, RunStarted, State, StepTaken
from fbmon.folder import SIGNALS, Meta, RunFolder
from fbmon.journal import Journal

_PROGRESS_SECONDS = 0.1
_INBOX_SECONDS = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(prog="fbmon.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queue", type=int, default=None, help="descriptor of the pipe to the screen")
    arguments = parser.parse_args()
    os.umask(0o077)
    threading.Thread(target=_die_with_supervisor, daemon=True).start()
    sys.exit(work(RunFolder(arguments.folder), arguments.queue))


def work(folder: RunFolder, queue: int | None) -> int:
    """Train the recipe of `folder`, tell everything, and return the exit code."""
    teller = Teller(folder, queue)
    orders = Orders(folder)
    try:
        ended = _train(folder, teller, orders)
    except FbmonError as error:
        state: State = "diverged" if error.exit_code == Exit.DIVERGED else "failed"
        print(error.message, error.hint, sep="\n")  # into trainer.log, which the screens name
        ended = RunEnded(state, error.exit_code, teller.step, error.message, error.hint)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())  # one line; the log has the rest
        ended = RunEnded("failed", Exit.FAILED, teller.step, reason)
    teller.emit(ended)
    return ended.exit_code


def _train(folder: RunFolder, teller: "Teller", orders: "Orders") -> RunEnded:
    recipe = recipes.load(folder.resolved)
    meta = msgspec.json.decode(folder.meta.read_bytes(), type=Meta)
    teller.emit(RunStarted(folder.name, recipe.name, recipe.steps, fbmon.__version__, os.getpid()))
    teller.emit(PhaseEntered("loading torch"))
    from fbmon.train.loop import train  # torch takes seconds to import; by now a screen says so

    data_dir = folders.as_path(meta.data_dir) if meta.data_dir else None
    state = train(recipe, meta.devices, data_dir, folder.checkpoints, teller.emit, orders.next)
    if state == "finished":
        return RunEnded(state, Exit.FINISHED, teller.step)
    code = Exit.PREEMPTED if state == "preempted" else Exit.STOPPED
    return RunEnded(state, code, teller.step, f"by {orders.source}; the state is saved")


class Teller:
    """Rank 0's `emit`: progress to a small file, everything else to the journal first and the queue second."""

    def __init__(self, folder: RunFolder, queue: int | None) -> None:
        self._folder = folder
        self._journal = Journal(folder.journal)
        self._queue = queue
        self._progress_due = 0.0
        self._task = ""
        self.step = 0
        if queue is not None:
            os.set_blocking(queue, False)

    def emit(self, event: Event) -> None:
        if isinstance(event, ProgressMade):
            self._show_progress(event)
            return
        if isinstance(event, StepTaken):
            self.step = event.step
        line = self._journal.append(event)
        if self._queue is not None:
            self._offer(self._queue, line)

    def _offer(self, queue: int, line: bytes) -> None:
        """Never waits: a line that does not fit is left out, and the screen reads it from the journal."""
        try:
            os.write(queue, line)
        except BlockingIOError:
            pass
        except OSError:  # the screen is gone
            os.close(queue)
            self._queue = None

    def _show_progress(self, event: ProgressMade) -> None:
        now = time.monotonic()
        # A new task is shown at once: the first block of it may take minutes.
        if now < self._progress_due and event.task == self._task:
            return
        self._task = event.task
        self._progress_due = now + _PROGRESS_SECONDS
        with suppress(OSError):  # a full disk costs the progress bar, never a step
            folders.replace(self._folder.progress, msgspec.json.encode(event))


class Orders:
    """What the user wants of the trainer: signals and the inbox, as one question asked at every block."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._signalled: CommandTaken | None = None
        self.source = ""  # of the last command
        self._look_again = 0.0
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def next(self) -> CommandTaken | None:
        """The next command, or None."""
        taken = self._signalled or self._look_into_inbox()
        self._signalled = None
        if taken:
            self.source = taken.source
        return taken

    def _look_into_inbox(self) -> CommandTaken | None:
        now = time.monotonic()
        if now < self._look_again:
            return None
        self._look_again = now + _INBOX_SECONDS
        asked = self._folder.take()
        return CommandTaken(asked.command, asked.source) if asked else None

    def _note(self, number: int, _frame: FrameType | None) -> None:
        taken = signal.Signals(number)
        self._signalled = CommandTaken(SIGNALS[taken], taken.name)


def _die_with_supervisor() -> None:
    os.read(0, 1)  # returns when the supervisor is gone; sys.stdin would be locked at the interpreter's own exit
    os._exit(Exit.LOST)


if __name__ == "__main__":
    main()
