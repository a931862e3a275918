"""Folders of many runs, for measuring: one run that fbmon really trains, then copies of it, some of them in a bad way.

Nine in ten have its 300 steps, the tenth 3,000, the hundredth 60,000: its own steps told again, numbered on. The seeds
and learning rates of their recipes differ.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.events import Event, GradientClipped, RunEnded, RunStarted, StepTaken, TrainingStarted, Validated
from fbmon.run import RunFolder
from fbmon.run.journal import Tail, seal
from fbmon.store import summary

STEPS, LONG, VERY_LONG = 300, 3_000, 60_000
_COMMAND = ("run", "quickstart", "--steps", str(STEPS), "--seed", "0", "--ui", "none")
_SMALL = ("--set", "data.limit=128", "--set", "data.val_limit=64", "--set", "gradient.block=64")


# How runs have ended, if they have: does it to the copy of this number.
Kind = Callable[[int, RunFolder], None]


def finished(_number: int, folder: RunFolder) -> None:
    """As a run leaves itself: its summary is written at its end."""
    summary.write(folder)


def unread(_number: int, _folder: RunFolder) -> None:
    """Ended by a version that wrote no summary, and not looked at since."""


def killed(_number: int, folder: RunFolder) -> None:
    """Gone in the middle of a line, without a last word; its summary was kept a while before."""
    told = folder.journal.read_bytes()
    folder.journal.write_bytes(told[: len(told) * 9 // 10])
    summary.write(folder)
    folder.journal.write_bytes(told[:-200])


def alive(_number: int, folder: RunFolder) -> None:
    """Not yet ended: this process holds its lock, until it ends itself."""
    *_, last = folder.journal.read_bytes().splitlines()
    os.truncate(folder.journal, folder.journal.stat().st_size - len(last) - 1)
    folder.progress.touch()
    fcntl.flock(os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)


def of_every_kind(number: int, folder: RunFolder) -> None:
    """Of ten six are finished, one each is unread, killed and alive, and one is broken in one of four ways."""
    ways = [finished] * 6 + [unread, killed, alive, broken]
    ways[(number + number // 10) % 10](number // 10, folder)  # of each length some


def broken(number: int, folder: RunFolder) -> None:
    """No journal, an empty one, one of zeros, or no recipe."""
    match number % 4:
        case 0:
            folder.journal.unlink()
        case 1:
            os.truncate(folder.journal, 0)
        case 2:
            folder.journal.write_bytes(bytes(folder.journal.stat().st_size))
        case _:
            folder.resolved.unlink()


def train(home: Path) -> RunFolder:
    """A real run of 300 steps, trained now: half a minute."""
    command = [sys.executable, "-m", "fbmon", *_COMMAND, *_SMALL, "--runs-dir", str(home)]
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.DEVNULL)
    return folders.every(home)[0]


def copy(real: RunFolder, home: Path, count: int, kind: Kind) -> list[RunFolder]:
    """So many runs like it in a new folder `home`, without the checkpoints, which no table looks at."""
    journals = {steps: b"".join(longer(real, steps)) for steps in (STEPS, LONG, VERY_LONG)}
    return [_copy(real, home, number, journals[_steps(number)], kind) for number in range(count)]


def longer(real: RunFolder, steps: int) -> Iterator[bytes]:
    """Its journal with its steps told again and again until there are so many; numbers and clock go on."""
    told = Tail(real.journal).read()
    first = next(place for place, event in enumerate(told) if isinstance(event, StepTaken | GradientClipped))
    last = max(place for place, event in enumerate(told) if isinstance(event, StepTaken | Validated)) + 1
    round_seconds = told[last - 1].elapsed - told[first].elapsed
    rounds = [(told[first:last], turn) for turn in range(steps // STEPS)]
    every = [(told[:first], 0), *rounds, (told[last:], steps // STEPS - 1)]
    for seq, (event, turn) in enumerate(((event, turn) for events, turn in every for event in events), 1):
        yield seal(_later(event, seq, turn, turn * round_seconds, steps))


def _later(event: Event, seq: int, turn: int, seconds: float, steps: int) -> Event:
    changed: dict[str, float] = {"seq": seq, "time": event.time + seconds, "elapsed": event.elapsed + seconds}
    if isinstance(event, StepTaken | GradientClipped | Validated):
        changed["step"] = event.step + turn * STEPS
    if isinstance(event, RunStarted | TrainingStarted):
        changed["steps"] = steps
    if isinstance(event, RunEnded):
        changed["step"] = steps
    return msgspec.structs.replace(event, **changed)


def _steps(number: int) -> int:
    return VERY_LONG if number % 100 == 99 else LONG if number % 10 == 9 else STEPS


def _copy(real: RunFolder, home: Path, number: int, journal: bytes, kind: Kind) -> RunFolder:
    folder = RunFolder(home / f"{real.given_name}-{number:04}-20260101-120000")
    shutil.copytree(
        real.path, folder.path, ignore=shutil.ignore_patterns("summary.json", "journal.jsonl", "checkpoints")
    )
    recipe = recipes.load(real.resolved, [f"seed={number}", f"optimizer.lr={0.1 * (1 + number % 8):g}"])
    folder.resolved.write_text(recipes.dump(recipe))
    folder.journal.write_bytes(journal)
    kind(number, folder)
    return folder
