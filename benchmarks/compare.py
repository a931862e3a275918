"""Measures how long `fbmon compare` and `fbmon runs` take over many runs, from the command to the last line.

    python -m benchmarks.compare                # makes 1,000 runs of 3,000 steps (1.5 GB) in a temporary folder first
    python -m benchmarks.compare --runs 100 --repeat 9

Every command is a process of its own. "as runs leave them": each run's summary was written at its end, as the
supervisor does. "without summaries": they were deleted, so that every journal is read from its first line.
The runs are copies of ten different ones; their recipes differ in seed and learning rate.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.startup import CURVE, Case, install
from benchmarks.startup import measure as until_seen
from fbmon import folder as folders
from fbmon import recipe as recipes
from fbmon import summary
from fbmon.events import Event, GradientClipped, RunEnded, RunStarted, StepTaken, TrainingStarted, Validated
from fbmon.folder import RunFolder
from fbmon.journal import seal
from fbmon.metrics import STEP

DIFFERENT = 10
COUNTS = (10, 100, 1000)
OVERLAID = 20


def events(seed: int, steps: int) -> Iterator[Event]:
    """A run as the trainer tells it: every metric at every step, a third of them clipped, validated each 100."""
    noise = np.random.default_rng(seed).random((steps, len(STEP)))
    yield RunStarted(f"run-{seed}", "fb_clipped", steps, "1.0", 1)
    yield TrainingStarted(steps, 391, 50_000, 10_000, 11_173_962, "cuda:0", "float32", 0.25, 0.95)
    for step in range(1, steps + 1):
        values: dict[str, float | None] = {metric.name: float(noise[step - 1, k]) for k, metric in enumerate(STEP)}
        if noise[step - 1, 0] < 1 / 3:
            yield GradientClipped(step, float(noise[step - 1, 1]), 0.25)
        yield StepTaken(step, values)
        if step % 100 == 1 or step == steps:
            yield Validated(step, {"val_loss": float(noise[step - 1, 2]), "val_accuracy": float(noise[step - 1, 3])})
    yield RunEnded("finished", 0, steps)


def journal(seed: int, steps: int) -> bytes:
    began, lines = time.time(), []
    for seq, event in enumerate(events(seed, steps), 1):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        lines.append(seal(type(event)(**fields | {"seq": seq, "time": began + seq, "elapsed": 1.5 * seq})))
    return b"".join(lines)


def make(home: Path, runs: int, steps: int) -> list[RunFolder]:
    """The runs, ended, with their summaries."""
    journals = [journal(seed, steps) for seed in range(DIFFERENT)]
    recipe = recipes.find("fb_clipped")
    made = []
    for number in range(runs):
        loaded = recipes.load(recipe, [f"seed={number}", f"optimizer.lr={0.1 * (1 + number % 8):g}"])
        folder = folders.create(home, f"run{number:04d}", recipe, recipes.dump(loaded), "cpu", None)
        folder.journal.write_bytes(journals[number % DIFFERENT])
        summary.write(folder)
        made.append(folder)
    return made


def measure(command: list[str], repeat: int, before: Callable[[], None] = lambda: None) -> str:
    """Median wall and CPU seconds of the whole process, and the smallest and largest wall time."""
    wall, cpu = [], []
    for _ in range(repeat):
        before()
        used, began = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-m", "fbmon", *command], check=True, stdout=subprocess.DEVNULL)
        wall.append(time.perf_counter() - began)
        now = os.times()
        cpu.append(now.children_user + now.children_system - used.children_user - used.children_system)
    spread = f"{min(wall):.2f} to {max(wall):.2f}"
    return f"{statistics.median(wall):.2f} s ({spread}; CPU {statistics.median(cpu):.2f} s, n={repeat})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=max(COUNTS))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fbmon-benchmark-") as home:
        every = make(Path(home) / "all", arguments.runs, arguments.steps)
        print(f"runs of {arguments.steps} steps, {every[0].journal.stat().st_size / 1e6:.1f} MB of journal each")
        print("| command | " + " | ".join(f"{count} runs" for count in _counts(arguments.runs)) + " |")
        print("|---" * (1 + len(_counts(arguments.runs))) + "|", flush=True)
        print(_row("fbmon --version", arguments, lambda _: ["--version"]), flush=True)
        for command in ("compare", "runs"):
            print(_row(f"fbmon {command}, as runs leave them", arguments, _over(Path(home), command)), flush=True)
        over = _over(Path(home), "compare")
        print(_row("fbmon compare, without summaries", arguments, over, lambda: forget(Path(home))), flush=True)
        print(f"\n| fbmon compare in a terminal, of {OVERLAID} runs | |\n|---|---|", flush=True)
        over(min(OVERLAID, arguments.runs))
        print_overlay(Path(home), arguments.repeat)


def print_overlay(home: Path, repeat: int) -> None:
    """How long it takes from the command in a terminal of 160x48 to curves on the screen."""
    (home / "installed").mkdir()
    env = install(home / "installed") | {"FBMON_RUNS": str(home / "part")}
    for title, seen in (("the first curve", CURVE), ("all curves", re.compile(rb"\d+ drawn"))):
        case = Case(title, [sys.executable, "-m", "fbmon", "compare"], seen)
        taken = sorted(until_seen(case, home, env) for _ in range(repeat + 1))[:-1]  # the first fills the caches
        print(f"| {title} | {statistics.median(taken):.2f} s ({taken[0]:.2f} to {taken[-1]:.2f}, n={repeat}) |")


def forget(home: Path) -> None:
    """Delete every summary."""
    for file in home.glob("*/*/summary.json"):
        file.unlink()


def _counts(runs: int) -> list[int]:
    return [count for count in COUNTS if count < runs] + [runs]


def _over(home: Path, command: str) -> Callable[[int], list[str]]:
    """The command over the first runs: a folder of links to them would not be what people have, so they are moved."""

    def over(count: int) -> list[str]:
        part, whole = home / "part", home / "all"
        part.mkdir(exist_ok=True)
        for path in list(part.iterdir()):
            shutil.move(path, whole / path.name)
        for path in sorted(whole.iterdir())[:count]:
            shutil.move(path, part / path.name)
        return [command, "--runs-dir", str(part)]

    return over


def _row(
    title: str,
    arguments: argparse.Namespace,
    command: Callable[[int], list[str]],
    before: Callable[[], None] = lambda: None,
) -> str:
    cells = [measure(command(count), arguments.repeat, before) for count in _counts(arguments.runs)]
    return f"| {title} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
