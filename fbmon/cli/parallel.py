"""Several runs of a table at a time: each device, or share of the devices, has one, and gets the next when it ends."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import typer

from fbmon import reproduce as tables
from fbmon.cli.output import mention
from fbmon.compare import read
from fbmon.errors import Exit
from fbmon.host.limits import cores
from fbmon.host.signals import AT_ONCE, SIGNALS, Interrupts, exit_code, signals_held
from fbmon.process import launch
from fbmon.process.launch import RunHandle
from fbmon.reproduce import TableRun
from fbmon.run import RunFolder

_LOOK_SECONDS = 0.2
_PROGRESS_SECONDS = 30.0  # between two lines on how far the runs are


class Parallel:
    """Keeps every share of the devices busy; a signal stops all the runs that it has started."""

    def __init__(self, shares: Sequence[str], runs_dir: Path, data_dir: Path, say: Callable[[str], None]) -> None:
        self._free = deque(shares)
        self._runs_dir = runs_dir
        self._data_dir = data_dir
        self._say = say
        self._going: list[tuple[RunHandle, str | None]] = []  # with the share that becomes free, if it is ours
        self._signals: list[int] = []
        self._interrupts = Interrupts()
        self._progress_due = time.monotonic() + _PROGRESS_SECONDS

    def carry_out(self, tasks: Sequence[TableRun]) -> list[int]:
        """Run every task, or wait for the run that exists; return the exit codes, 0 if there is a result."""
        if self._free[0] == "cpu":  # without this every run would take all cores
            os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // len(self._free))))
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        waiting, codes = deque(tasks), list[int]()
        while (waiting and not self._signals) or self._going:
            while waiting and self._free and not self._signals:
                with signals_held():  # a signal has to find every run that is being started
                    self._begin(waiting.popleft())
            time.sleep(_LOOK_SECONDS)
            codes += self._collect()
            self._report_progress(len(waiting))
        if self._signals:
            self._say("run the same command to continue")
            raise typer.Exit(exit_code(SIGNALS[signal.Signals(self._signals[0])]))
        return codes

    def _begin(self, task: TableRun) -> None:
        there = tables.done(task, self._runs_dir)
        if there and not there.is_alive:
            self._say(f"{there.name}: already {there.state}")
        elif there:
            self._say(f"{there.name}: already running")
            self._going.append((launch.attach(RunFolder(there.path)), None))
        else:
            share = self._free.popleft()
            interrupted = tables.to_resume(task, self._runs_dir)
            folder = interrupted or tables.start_folder(task, self._runs_dir, share, self._data_dir)
            handle = launch.start(folder, queue=False, devices=share if interrupted else None)
            self._going.append((handle, share))
            self._say(f"{handle.folder.name}: {'resumed' if interrupted else 'started'} on {share}")

    def _collect(self) -> list[int]:
        """Return the exit codes of the runs that have ended, and free their shares."""
        codes = []
        for handle, share in list(self._going):
            if handle.alive:
                continue
            self._going.remove((handle, share))
            self._free.extend([share] if share else [])
            run = read(handle.folder)
            self._say(f"{run.name}: {run.state} after step {run.summary.step} of {run.steps}")
            code = run.summary.ended.exit_code if run.summary.ended else Exit.LOST
            codes.append(0 if code == Exit.DIVERGED else code)
            if codes[-1] and run.summary.step == 0 and not self._signals:
                self._say("it did not take a single step: no other run of the table would either")
                self._stop(signal.SIGINT)
        return codes

    def _report_progress(self, waiting: int) -> None:
        if not self._going or time.monotonic() < self._progress_due:
            return
        self._progress_due = time.monotonic() + _PROGRESS_SECONDS
        runs = [read(handle.folder) for handle, _ in self._going]
        progress = " · ".join(f"{run.name} {run.summary.step}/{run.steps}" for run in runs)
        self._say(f"{waiting} waiting · {progress}")

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if not self._signals:
            mention(
                "stopping all runs at their next block and saving; press Ctrl-C again to stop at once without saving"
            )
        is_second = number == signal.SIGINT and self._interrupts.is_second()
        self._stop(AT_ONCE if is_second else number)

    def _stop(self, number: int) -> None:
        self._signals.append(number)
        for handle, share in self._going:
            if share:
                handle.send_signal(signal.Signals(number))
