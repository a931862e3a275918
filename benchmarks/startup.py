"""Measures how soon something is to be seen: `python -m benchmarks.startup`.

A byte-compiled copy of fbmon is started in a terminal of its own, 160x48, in turn with a bare Python and a bare Textual
program. Wall seconds from the command to what is named, median and spread of n starts, ratios to the bare ones; beside
them the CPU time of all its processes until then, which says more where other programs are at work.
"""

import argparse
import compileall
import fcntl
import os
import platform
import pty
import re
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.synthetic import write_run

ROOT = Path(__file__).parents[1]
STEPS, METRICS = 50_000, 20
TEXTUAL = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("● ready")
Bare().run()
"""
CURVE = re.compile(b"\xe2[\xa0-\xa3][\x80-\xbf]")  # any braille character; no title or axis has one
PAINT = re.compile("●".encode())
FIRST_STEP = re.compile(rb"step +1/")
OPTIMIZER = (
    "import torch; torch.optim.SGD([torch.zeros(1)], lr=1.0)"  # which load torch's compiler, to keep clear of it
)
DEADLINE = 60.0


@dataclass(frozen=True)
class Case:
    """A command, and what has to stand in its output; None means its end."""

    name: str
    command: list[str]
    seen: re.Pattern[bytes] | None


class Taken(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def cases(home: Path) -> list[Case]:
    fbmon = [sys.executable, "-m", "fbmon"]
    first = [*fbmon, "run", "quickstart", "--no-ui"]
    watch, whole = [*fbmon, "watch", "synthetic"], f"finished.*{STEPS}/{STEPS}".encode()
    return [
        Case("python -c pass", [sys.executable, "-c", "pass"], None),
        Case("a bare Textual program, first paint", [sys.executable, "-c", TEXTUAL], PAINT),
        Case("fbmon --help", [*fbmon, "--help"], None),
        Case("fbmon run quickstart, first paint", [*fbmon, "run", "quickstart", "--runs-dir", f"{home}/new"], PAINT),
        Case(f"fbmon watch, {STEPS:,} steps of {METRICS} metrics, first paint", watch, PAINT),
        Case("the same, charts with curves", watch, CURVE),
        Case("the same, the whole journal", watch, re.compile(whole, re.DOTALL)),
        Case("python -c 'import torch'", [sys.executable, "-c", "import torch"], None),
        Case("the same, plus what its optimizers load", [sys.executable, "-c", OPTIMIZER], None),
        Case("fbmon run quickstart, first step reported", [*first, "--runs-dir", f"{home}/first"], FIRST_STEP),
    ]


def install(home: Path) -> dict[str, str]:
    """Lay a copy down as a wheel would, and compile it; the environment in which Python finds it."""
    shutil.copytree(ROOT / "fbmon", home / "fbmon", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "recipes", home / "fbmon" / "recipes")
    compileall.compile_dir(home / "fbmon", quiet=2)
    given = {name: value for name, value in os.environ.items() if not name.startswith(("FBMON_", "PYTHON", "CI"))}
    return given | {"PYTHONPATH": str(home), "FBMON_RUNS": str(home / "runs"), "TERM": "xterm-256color"}


def measure(case: Case, home: Path, env: dict[str, str]) -> Taken:
    """How long it takes from the command to what it has to show."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
    before = time.monotonic()
    process = subprocess.Popen(
        case.command, stdin=slave, stdout=slave, stderr=slave, cwd=home, env=env, start_new_session=True
    )
    os.close(slave)
    output = b""
    try:
        while not (case.seen and case.seen.search(output)):
            assert time.monotonic() < before + DEADLINE, f"{case.name}: not seen in\n{output.decode(errors='replace')}"
            if select.select([master], [], [], 0.001)[0]:
                try:
                    output += os.read(master, 1 << 16)
                except OSError:  # nobody holds the terminal any longer
                    assert case.seen is None, f"{case.name}: ended with\n{output.decode(errors='replace')}"
                    break
        taken = Taken(time.monotonic() - before, cpu_seconds(process.pid))
    finally:
        os.killpg(process.pid, 9) if process.poll() is None else None
        process.wait()
        os.close(master)
    end_trainers(home)
    return taken


def cpu_seconds(pid: int) -> float:
    """What a process and all that it has started have computed so far, be it ended by now."""
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:4]) for one in [process, *process.children(recursive=True)])


def end_trainers(home: Path) -> None:
    """Stop what `fbmon run` has left in the background: the supervisors of runs in `home`."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "fbmon.process.supervisor" in command and any(part.startswith(str(home)) for part in command):
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=10, help="starts of each command")
    starts = parser.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = install(home)
        write_run(home / "runs" / "synthetic-1", STEPS, METRICS)
        every = cases(home)
        taken: dict[str, list[Taken]] = {case.name: [] for case in every}
        for _ in range(starts + 1):
            for case in every:
                taken[case.name].append(measure(case, home, env))
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", end=""
    )
    print(f", Textual {version('textual')}, Typer {version('typer')}, NumPy {version('numpy')}; n = {starts}\n")
    print("| | median s | fastest to slowest | × python -c pass | × bare Textual | CPU s |\n|---|---|---|---|---|---|")
    bare, textual = (statistics.median(wall for wall, _ in taken[case.name][1:]) for case in every[:2])
    for name, seconds in taken.items():
        counted = sorted(wall for wall, _ in seconds[1:])  # the first start fills the system's caches
        cpu = statistics.median(cpu for _, cpu in seconds[1:])
        median = statistics.median(counted)
        spread = f"{counted[0]:.2f} to {counted[-1]:.2f}"
        print(f"| {name} | {median:.2f} | {spread} | {median / bare:.1f} | {median / textual:.1f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
