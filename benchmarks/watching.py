"""What it costs a training that somebody looks: `python -m benchmarks.watching`.

The same run, in turn: with the screen of `fbmon run` in a terminal, with that of `fbmon watch`, and with nobody who
reads its journal. Then `emit`, which is what a step waits for: rank 0's journal and queue, on the machine's own disk.
"""

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.table import in_turn, machine, print_table, spread
from fbmon import metrics
from fbmon import run as folders
from fbmon.events import StepTaken
from fbmon.process.emit import Emitter
from fbmon.run import RunFolder

_FBMON = (sys.executable, "-m", "fbmon")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="runs of each kind")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--emits", type=int, default=20_000)
    arguments = parser.parse_args()
    print(f"{machine('textual', 'msgspec')}; one thread computes\n")
    cases = {
        "nobody": lambda: nobody(arguments.steps),
        "fbmon run": lambda: screen(arguments.steps),
        "fbmon watch": lambda: watched(arguments.steps),
    }
    found = in_turn(cases, arguments.n, warm_ups=0)
    rows = []
    for name, seconds in found.items():
        ratios = [one / alone for one, alone in zip(seconds, found["nobody"], strict=True)]
        rows.append([name, *spread(seconds, ".4f").split(" | "), *spread(ratios, ".3f").split(" | ")])
    header = ["who reads", "s a step, median of medians", "spread", "× nobody, paired", "spread"]
    print_table(header, rows)
    print()
    emits = sorted(emit_microseconds(arguments.emits))
    high = emits[int(0.99 * len(emits))]
    median = statistics.median(emits)
    print_table(
        ["", "µs, median", "99 % are below", "n"],
        [["emit of a step of all metrics", f"{median:.1f}", f"{high:.1f}", f"{len(emits):,}"]],
    )


def nobody(steps: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        _start(home, steps, "--detach")
        return _median_step(home)


def watched(steps: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        _start(home, steps, "--detach")
        with _Terminal([*_FBMON, "watch", "--runs-dir", home]):
            return _median_step(home)


def screen(steps: int) -> float:
    with tempfile.TemporaryDirectory() as home, _Terminal(_command(home, steps)):
        return _median_step(home)


def emit_microseconds(count: int) -> list[float]:
    """How long each `emit` of a step takes rank 0, somebody emptying its queue meanwhile."""
    values: dict[str, float | None] = {metric.name: 1.2345678901234567 for metric in metrics.STEP}
    with tempfile.TemporaryDirectory() as home:
        reader, writer = os.pipe()
        threading.Thread(target=_drain, args=(reader,), daemon=True).start()
        teller = Emitter(RunFolder(Path(home)), writer)
        taken = []
        for step in range(count):
            event = StepTaken(step, values)
            began = time.perf_counter()
            teller.emit(event)
            taken.append(1e6 * (time.perf_counter() - began))
        os.close(writer)
    return taken


def _drain(reader: int) -> None:
    while os.read(reader, 1 << 16):
        pass


class _Terminal:
    """A command in a terminal of 160x48 that is read to nowhere; killed at the end."""

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def __enter__(self) -> None:
        master, slave = pty.openpty()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "48"}
        self._process = subprocess.Popen(
            self._command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        threading.Thread(target=self._read, args=(master,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self, master: int) -> None:
        with suppress(OSError):
            while os.read(master, 1 << 16):
                pass
        os.close(master)


def _command(home: str, steps: int) -> list[str]:
    return [*_FBMON, "run", "quickstart", "--steps", str(steps), "--runs-dir", home]


def _start(home: str, steps: int, *options: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*_command(home, steps), *options]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _median_step(home: str) -> float:
    """The median seconds of a step of the run in this folder, when it has ended: looked at once, at the end."""
    while not (ended := [run for run in folders.every(Path(home)) if run.summary.exists() and not run.is_alive()]):
        time.sleep(0.5)
    lines = ended[0].journal.read_text().splitlines()
    told = [json.loads(line) for line in lines]
    steps: list[float] = [one["values"]["step_seconds"] for one in told if one["kind"] == "StepTaken"]
    return statistics.median(steps[5:])


if __name__ == "__main__":
    main()
