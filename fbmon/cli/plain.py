"""A run as plain lines: one per step and at most one a second, fit for a log file."""

import time

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from fbmon.cli.lines import last_line, plan_line, step_line
from fbmon.cli.output import make_console
from fbmon.events import (
    CheckpointFailed,
    DivergenceFound,
    Event,
    NonFiniteFound,
    PhaseEntered,
    ProgressMade,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
)
from fbmon.run import RunFolder
from fbmon.store.store import Store
from fbmon.text import clean

_LINE_SECONDS = 1.0
_DOWNLOAD_SECONDS = 10.0  # between two lines about a download, outside a terminal


class PlainScreen:
    """Prints what the store has become by each event."""

    def __init__(self, store: Store, folder: RunFolder) -> None:
        self._store = store
        self._folder = folder
        self._console = make_console()
        self._noted = 0  # notes of the store, printed or not
        self._line_due = 0.0
        self._unprinted: StepTaken | None = None
        self._download: Progress | None = None
        self._download_due = 0.0

    def show(self, event: Event) -> None:
        """Print a line if this event deserves one."""
        match event:
            case RunStarted(run=run, recipe=recipe, origin=origin):
                begun = f", begun with the weights of {origin}; all else is new" if origin else ""
                self._print(f"run {run}: recipe {recipe}, folder {self._folder.path}{begun}")
            case PhaseEntered():
                self._end_download()
                self._print(self._store.phase)
            case TrainingStarted():
                for line in (plan_line(event), *self._store.cautions):
                    self._print(line)
            case ProgressMade(task="downloading", done=done, total=total):
                self._show_download(done, total)
            case StepTaken(step=step):
                self._unprinted = event
                if time.monotonic() >= self._line_due and step != self._store.steps:  # the last one waits for the end
                    self._line_due = time.monotonic() + _LINE_SECONDS
                    self._print_step()
            case RunResumed():
                self._print(f"run {self._folder.name} goes on")
            case NonFiniteFound() | DivergenceFound() | CheckpointFailed() | StateRestored() | RunRestarted():
                for note in self._store.notes[self._noted :]:
                    self._print(note.text)
            case RunEnded():
                self._print_step()
                self._print(last_line(self._store, self._folder))
        self._noted = len(self._store.notes)

    def close(self) -> None:
        """Remove the progress bar, if there is one; say so if the run died without a last word."""
        self._end_download()
        if self._store.ended is None:
            self._print_step()
            self._print(last_line(self._store, self._folder))

    def _print_step(self) -> None:
        """Print the newest step with all that is known by now, unless it has been printed."""
        if self._unprinted is not None:
            self._print(step_line(self._store, self._unprinted))
            self._unprinted = None

    def _print(self, line: str) -> None:
        text = Text(clean(line, 2000))
        text.highlight_words(["clipped"], "yellow")
        self._console.print(text)

    def _end_download(self) -> None:
        if self._download:
            self._download.stop()
            self._download = None

    def _show_download(self, done: int, total: int) -> None:
        if self._console.is_terminal:
            if not self._download:
                columns = (
                    TextColumn("{task.description}"),
                    BarColumn(),
                    DownloadColumn(),
                    TransferSpeedColumn(),
                )
                self._download = Progress(*columns, console=self._console)
                self._download.add_task("downloading", total=total)
                self._download.start()
            self._download.update(self._download.task_ids[0], completed=done)
        elif time.monotonic() >= self._download_due:
            self._download_due = time.monotonic() + _DOWNLOAD_SECONDS
            self._print(f"downloaded {done / 1e6:.0f} of {total / 1e6:.0f} MB")
