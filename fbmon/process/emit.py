"""Rank 0's `emit`: the journal first, the queue second."""

import os
import time
from contextlib import suppress

import msgspec

from fbmon.events import CheckpointSaved, CommandTaken, Event, ProgressMade, RunEnded, StateRestored, StepTaken
from fbmon.host import disk
from fbmon.run import RunFolder
from fbmon.run.journal import Journal, last_event, last_step

_PROGRESS_SECONDS = 0.1
_LAST_WORD_SECONDS = 10.0  # for which a full disk is tried; the supervisor goes on trying


class Emitter:
    """Rank 0's `emit`: progress to a small file, everything else to the journal first and the queue second."""

    def __init__(self, folder: RunFolder, queue: int | None) -> None:
        self._folder = folder
        self.has_begun = last_event(folder.journal) is not None  # by an earlier process
        self._journal = Journal(folder.journal, folder.telemetry)
        self._journal.reserve()
        self._queue = queue
        self._progress_due = 0.0
        self._task = ""
        self.step = last_step(folder.journal)
        self.source = ""  # of the last command
        if queue is not None:
            os.set_blocking(queue, False)

    def emit(self, event: Event) -> None:
        if isinstance(event, ProgressMade):
            self._show_progress(event)
            return
        if isinstance(event, StepTaken | StateRestored):
            self.step = event.step
        if isinstance(event, CommandTaken):
            self.source = event.source
        is_last = isinstance(event, RunEnded)
        line = self._journal.append_last(event, _LAST_WORD_SECONDS) if is_last else self._journal.append(event)
        if isinstance(event, CheckpointSaved):
            self._journal.sync()  # so that no checkpoint is ever ahead of its journal for long
        self.pass_on(line)

    def pass_on(self, line: bytes) -> None:
        """Show a line of the journal to whoever listens."""
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
            disk.replace(self._folder.progress, msgspec.json.encode(event))
