"""One row: the tests in its environment, until they end or their time is over; nothing of them stays."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tools.matrix.rows import Row, usable_cores

GRACE = 20.0  # seconds in which pytest may end after it was interrupted
KILLS = 5  # rounds

# Ends with the process that has started it, also where that is killed.
BUSY_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(1_000_000))"


@dataclass(frozen=True)
class Ran:
    """What a command has come to."""

    code: int | None  # None: its time was over
    wall: float  # seconds
    cpu: float  # seconds, its own and those of all the processes that were waited for


@dataclass(frozen=True)
class Tests:
    """What has become of the tests, by their names."""

    passed: int
    skipped: int
    failed: list[str]
    unfinished: list[str]


def run(
    command: Sequence[str | Path], row: Row, checkout: Path, variables: Mapping[str, str], seconds: float, log: Path
) -> Ran:
    """Run a command in the checkout as the row has it, for so long at most; kill all that it has left behind."""
    cores = usable_cores()[: row.cores]
    began, used = time.monotonic(), _cpu_seconds()
    with log.open("a", encoding="utf-8") as file, _busy_loops(row.busy_loops, cores):
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=checkout, env=variables, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=_surroundings(row, cores),  # noqa: PLW1509 - there is one thread only
        )  # fmt: skip
        try:
            code = _wait(process, seconds)
        finally:
            end_all(process, Path(variables["TMPDIR"]))
    return Ran(code, time.monotonic() - began, _cpu_seconds() - used)


def end_all(process: "subprocess.Popen[bytes]", temporary: Path) -> None:
    """Kill a process, its session and all whose temporary files are in the same folder, wherever they have gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(KILLS):  # what is killed may have started another before
        for other in _those_of(temporary):
            with suppress(psutil.Error):
                other.kill()
                other.wait(5)


def outcomes(path: Path) -> Tests:
    """Read what the plugin has written; a test that has failed in any of its parts has failed."""
    said: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError):  # the last line of one that was killed
            outcome = json.loads(line)
            said.setdefault(outcome["test"], set()).add(outcome["outcome"])
    failed = [test for test, outcomes in said.items() if "failed" in outcomes]
    rest = {test: outcomes for test, outcomes in said.items() if "failed" not in outcomes}
    return Tests(
        passed=sum("passed" in outcomes for outcomes in rest.values()),
        skipped=sum("skipped" in outcomes for outcomes in rest.values()),
        failed=failed,
        unfinished=[test for test, outcomes in rest.items() if outcomes == {"started"}],
    )


def variables_of(row: Row, python: Path, temporary: Path) -> dict[str, str]:
    """Return the variables of the row's tests: this process's, without those of its own environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    path = os.pathsep.join([str(python.parent), *os.get_exec_path()])
    asked = {**inherited, "PATH": path, "TMPDIR": str(temporary), **row.variables}
    return {name: value for name, value in asked.items() if value is not None}


def _surroundings(row: Row, cores: Sequence[int]) -> Callable[[], None]:
    """Return what the process does before it becomes the command."""

    def surround() -> None:
        if row.cores is not None:
            os.sched_setaffinity(0, cores)
        if row.hangs_up:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.close(0)
        if row.files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (row.files, row.files))
        os.umask(row.umask)
        if row.user is not None:
            os.setgroups([])
            os.setgid(row.user)
            os.setuid(row.user)

    return surround


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """Return its exit code; None if it is not done in time, when it is interrupted and has a moment to say so."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return None


@contextmanager
def _busy_loops(count: int, cores: Sequence[int]) -> Iterator[None]:
    """Keep cores busy, one loop on each in turn."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP], stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        for number, loop in enumerate(loops):
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(loop.pid, {cores[number % len(cores)]})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _those_of(temporary: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TMPDIR", "").startswith(
                str(temporary)
            ):
                found.append(process)
    return found


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def empty(folder: Path) -> None:
    """Remove all that is in a folder, also what the tests have made unreadable, and make it anew."""
    for here, names, _ in os.walk(folder):
        for path in (Path(here) / name for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
