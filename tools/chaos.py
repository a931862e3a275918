"""Kills random processes of runs at random moments, resumes them, and compares them with a run that was left alone.

python -m tools.chaos --kills 100 [--seed 0] [--devices cpu] [--devices cpu:2]
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from fbmon import run as folders
from fbmon.events import Event, RunEnded, StateRestored, StepTaken
from fbmon.run import RunFolder
from fbmon.run.journal import Tail
from fbmon.store.store import Store

# Batch norm, momentum, augmentation, the penalty and an average of the weights, over seven blocks, the last one short.
RECIPE = """\
name = "chaos"
steps = 60
[data]
dataset = "digits"
augment = "shift"
limit = 200
val_limit = 50
[model]
name = "resnet8"
width = 4
[gradient]
block = 32
[optimizer]
name = "sgd"
lr = 0.2
momentum = 0.9
nesterov = true
weight_decay = 5e-4
[schedule]
name = "cosine"
warmup = 5
horizon = 60
[clip]
norm = 0.25
[penalty]
strength = 0.5
[ema]
momentum = 0.9
[validation]
every = 4
[checkpoint]
every = 3
"""
_GONE_SECONDS = 30.0
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Verdict:
    """What became of one run that was killed again and again."""

    kills: int
    while_starting: int  # kills before the first step of an attempt
    replayed: int  # steps taken more than once
    is_same: bool
    not_reproducible: int
    damaged_lines: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", action="append", help="repeatable; default: cpu")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fbmon-chaos-") as home:
        verdicts = _runs(Path(home), arguments.kills, arguments.seed, arguments.devices or ["cpu"])
    sys.exit(0 if all(one.is_same and not one.not_reproducible for one in verdicts) else 1)


def _runs(home: Path, kills: int, seed: int, devices: list[str]) -> list[Verdict]:
    draw = random.Random(seed)
    (home / "chaos.toml").write_text(RECIPE)
    whole = _start(home, "undisturbed", "cpu")
    _wait_until_gone(whole, _START_SECONDS)
    print(f"undisturbed: {_hash(whole)[:32]}", flush=True)
    print("run  devices  kills  starting  replayed  same bits  not reproducible  damaged lines")
    verdicts: list[Verdict] = []
    while sum(one.kills for one in verdicts) < kills:
        on = devices[len(verdicts) % len(devices)]
        left = kills - sum(one.kills for one in verdicts)
        verdict = _disturb(home, len(verdicts), on, min(left, 10), whole, draw)
        verdicts.append(verdict)
        print(
            f"{len(verdicts):>3}  {on:<7}  {verdict.kills:>5}  {verdict.while_starting:>8}  {verdict.replayed:>8}  "
            f"{'yes' if verdict.is_same else 'NO':>9}  {verdict.not_reproducible:>16}  {verdict.damaged_lines:>13}",
            flush=True,
        )
    same = sum(one.is_same for one in verdicts)
    print(f"{sum(one.kills for one in verdicts)} kills: {same} of {len(verdicts)} runs ended with the same bits")
    return verdicts


def _disturb(home: Path, number: int, devices: str, most: int, whole: RunFolder, draw: random.Random) -> Verdict:
    """One run, killed at most so often, then left to its end."""
    folder = _start(home, f"disturbed{number}", devices)
    kills = while_starting = 0
    while kills < most and not _is_finished(folder):
        before = _steps(folder)
        # Half of the kills hit the start, the loading and the first steps, half some place in the training.
        if draw.random() < 0.5:
            _wait_for(lambda before=before: _steps(folder) > before or not folder.is_alive())
        time.sleep(draw.random() ** 2 * 3)
        victims = _processes(folder)
        if not victims or _is_finished(folder):
            break
        draw.choice(victims).kill()
        kills += 1
        while_starting += _steps(folder) == before
        _wait_until_gone(folder, _GONE_SECONDS)
        _fbmon(home, "resume", str(folder.path), "--detach")
    _wait_until_gone(folder, _START_SECONDS)
    return _judge(folder, whole, kills, while_starting)


def _judge(folder: RunFolder, whole: RunFolder, kills: int, while_starting: int) -> Verdict:
    tail = Tail(folder.journal)
    events, store, expected = tail.read(), Store(), Store()
    for event in events:
        store.apply(event)
    for event in Tail(whole.journal).read():
        expected.apply(event)
    taken = [event.step for event in events if isinstance(event, StepTaken)]
    names = ("loss", "full_loss", "grad_norm", "accuracy", "param_norm", "val_loss", "val_accuracy")
    is_same = _hash(folder) == _hash(whole) and all(
        store.series[name].values.tolist() == expected.series[name].values.tolist() for name in names
    )
    differing = sum("not reproducible" in note.text for note in store.notes)
    return Verdict(kills, while_starting, len(taken) - len(set(taken)), is_same, differing, tail.damaged)


def _start(home: Path, name: str, devices: str) -> RunFolder:
    _fbmon(home, "run", "chaos.toml", "--name", name, "--devices", devices, "--detach")
    return folders.find(home / "runs", name)


def _fbmon(home: Path, *arguments: str) -> None:
    environment = os.environ | {"FBMON_RUNS": str(home / "runs"), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "fbmon", *arguments], cwd=home, env=environment, stdout=subprocess.DEVNULL, check=True
    )


def _processes(folder: RunFolder) -> list[psutil.Process]:
    """The supervisor and the ranks of this run."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder.path) in (command := process.info["cmdline"] or [])
        and any(part.startswith(("fbmon.process.supervisor", "fbmon.process.worker")) for part in command)
    ]


def _told(folder: RunFolder) -> list[Event]:
    return Tail(folder.journal).read()


def _steps(folder: RunFolder) -> int:
    return sum(isinstance(event, StepTaken | StateRestored) for event in _told(folder))


def _is_finished(folder: RunFolder) -> bool:
    last = next(iter(_told(folder)[-1:]), None)
    return isinstance(last, RunEnded) and last.state == "finished"


def _wait_until_gone(folder: RunFolder, seconds: float) -> None:
    _wait_for(lambda: not folder.is_alive() and not _processes(folder), seconds)


def _wait_for(is_there: Callable[..., object], seconds: float = _START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > deadline:
            raise SystemExit(f"chaos: not within {seconds:.0f} s")
        time.sleep(0.05)


def _hash(folder: RunFolder) -> str:
    newest = max(folder.checkpoints.glob("step-*"))
    return f"{newest.name} {hashlib.sha256((newest / 'tensors.safetensors').read_bytes()).hexdigest()}"


if __name__ == "__main__":
    main()
