"""`fbmon` as typed into a shell: its commands, its runs and their processes."""

import hashlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from fbmon import run as folders
from fbmon.events import Event, RunEnded, StepTaken
from fbmon.run import RunFolder
from fbmon.run.journal import Tail

DEADLINE = 300.0  # seconds for anything whose duration is not what is tested: only against waiting for ever
PROMPTLY = 20.0  # seconds for what takes one at most on an idle machine, and half a minute where it is broken
ENDLESS = "100000"  # steps, a quarter of an hour

# What the tests take over of the shell that starts them. All else may change what is printed, drawn or computed:
# colours, a language, the time zone, a job of Slurm or torchrun that the tests run in. What chooses the instructions
# of the processor stays: no test may hang on them.
KEPT = re.compile(
    "PATH|HOME|USER|LOGNAME|TMPDIR|TEMP|TMP|VIRTUAL_ENV"
    "|PYTHON(PATH|HASHSEED|DONTWRITEBYTECODE|PYCACHEPREFIX|USERBASE)"
    "|OMP_NUM_THREADS|FBMON_TEST_FORKS|(LD|DYLD|CUDA|NVIDIA|PYTEST|HYPOTHESIS|COV|COVERAGE)_.*"
    "|(ATEN|ONEDNN|DNNL|MKL|NPY|OPENBLAS)_.*"
)
TYPICAL = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
ROOT = Path(__file__).parents[1]
BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}  # are ignored by the interpreter, and not by what it starts
OF_PYTEST = {"COLUMNS", "LINES"}  # set by pytest-xdist; a terminal is asked for its size

tells_what_signals_wait = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what signals wait")

Found = TypeVar("Found")


def be_a_typical_shell() -> None:
    """Forget what this process has inherited and hands on, and be to all that it starts what a terminal's shell is.

    Of its variables those stay that are `KEPT`. Its children get the code that is tested, wherever they are started.
    """
    for name in set(os.environ) - OF_PYTEST:
        if not KEPT.fullmatch(name):
            del os.environ[name]
    path = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(ROOT)]
    os.environ.update(TYPICAL, PYTHONPATH=os.pathsep.join([str(ROOT), *path]))
    time.tzset()  # the time zone that the children have
    take_all_signals()
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def take_all_signals() -> None:
    """Undo what `nohup`, a job in the background of a script or the first process of a container has left behind."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - BY_PYTHON:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def environment(runs_dir: Path) -> dict[str, str]:
    """A shell's variables: nothing of fbmon's own but the folder of runs; one thread, as the networks are tiny."""
    known = {name: value for name, value in os.environ.items() if name not in OF_PYTEST}
    known |= {"XDG_CONFIG_HOME": str(runs_dir.parent / "config")}  # what the screen remembers
    return known | {"FBMON_RUNS": str(runs_dir), "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Fbmon:
    """The command, called in the folder beside its runs."""

    runs_dir: Path

    def __call__(self, *arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        process = self.start(*arguments, **variables)
        try:
            stdout, stderr = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def start(self, *arguments: str | Path, **variables: str) -> "subprocess.Popen[str]":
        """Start it with pipes for all it says, and some variables more."""
        return subprocess.Popen(
            [sys.executable, "-m", "fbmon", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="strict",
            cwd=self.runs_dir.parent,
            env=environment(self.runs_dir) | variables,
        )

    def run_folder(self) -> RunFolder:
        """The folder of the one run; waits until it is there."""
        return until(lambda: next(iter(folders.every(self.runs_dir)), None))


def until(look: Callable[[], Found | None], seconds: float = DEADLINE) -> Found:
    """What `look` finds, as soon as it finds something; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline  # asked before the last look
        found = look()
        if found:
            return found
        assert not late, f"not within {seconds} s"
        time.sleep(0.05)


def told(folder: RunFolder) -> list[Event]:
    """Everything in the journal of a run."""
    return Tail(folder.journal).read()


def steps_taken(folder: RunFolder) -> int:
    return sum(isinstance(event, StepTaken) for event in told(folder))


def last_word(folder: RunFolder) -> RunEnded | None:
    return next((event for event in told(folder) if isinstance(event, RunEnded)), None)


def wait_for_steps(folder: RunFolder, more: int = 3) -> None:
    """Wait until the training has taken some more steps, for each of them if need be as long as it may take."""
    taken = steps_taken(folder)
    enough = taken + more
    while taken < enough:
        taken = until(lambda: now if (now := steps_taken(folder)) > taken else None)  # noqa: B023 - called at once


def processes(place: Path, module: str = "fbmon.") -> list[psutil.Process]:
    """The supervisors and trainers of the run or the runs in `place` that are not dead."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []  # of a zombie it is empty
        if any(part.startswith(module) for part in command) and any(part.startswith(str(place)) for part in command):
            found.append(process)
    return found


def is_dead(process: psutil.Process) -> bool:
    """Whether it has ended, though perhaps nobody has asked for its exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stand_still(process: psutil.Process) -> None:
    """Stop a process; only when it stands, and not while it has yet to get a processor, do its signals wait."""
    process.send_signal(signal.SIGSTOP)
    until(lambda: process.status() == psutil.STATUS_STOPPED)


def awaits(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a signal has been sent to a process that is stopped, and will be taken when it goes on."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (pending,) = re.findall(r"^ShdPnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(pending, 16) & 1 << number - 1)


def supervisor(folder: RunFolder) -> psutil.Process:
    return until(lambda: processes(folder.path, "fbmon.process.supervisor"))[0]


def trainer(folder: RunFolder) -> psutil.Process:
    return until(lambda: processes(folder.path, "fbmon.process.worker"))[0]


def rank(folder: RunFolder, number: int) -> psutil.Process:
    """The process of a rank."""
    here = f'"index":{number},'
    found = processes
    return until(
        lambda: [one for one in found(folder.path, "fbmon.process.worker") if here in one.info["cmdline"][-1]]
    )[0]


def last_tensors(folder: RunFolder) -> str:
    """The SHA-256 of the newest checkpoint's tensors: weights, optimizer, all."""
    newest = max(folder.checkpoints.glob("step-*"))
    return hashlib.sha256((newest / "tensors.safetensors").read_bytes()).hexdigest()


def end_all(runs_dir: Path) -> None:
    """Kill every supervisor; its trainer has to follow it by itself."""
    for process in processes(runs_dir, "fbmon.process.supervisor"):
        with suppress(psutil.NoSuchProcess):  # it has just ended by itself
            process.kill()
    until(lambda: not processes(runs_dir))
