"""Measures how long `fbmon runs` and `fbmon compare` take over many runs: `python -m benchmarks.compare`.

The runs are copies of a real one (benchmarks/folders.py): finished ones with their summaries; the same without, which
are deleted before each start so that every journal is read from its first line; and runs of every kind. Each command is
a process of its own, from a byte-compiled copy of fbmon; its output goes to a file. Wall seconds with their spread and,
as other programs may be at work, the CPU seconds of all its processes. Last the screen, in a terminal of 160x48, of 20
runs whose curves are drawn. Takes 2 GB of disk for 1,000 runs.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.folders import copy, finished, of_every_kind, train
from benchmarks.startup import CURVE, Case, Taken, install
from benchmarks.startup import measure as until_seen
from benchmarks.table import machine, print_table

_TABLES = (["runs"], ["compare"], ["compare", "--json"], ["compare", "--csv"])
_OVERLAID = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[_OVERLAID, 100, 1000], help="runs in a folder")
    parser.add_argument("-n", type=int, default=5, help="starts of each command")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fbmon-benchmark-") as folder:
        home = Path(folder)
        real = train(home / "real")
        for count in {*arguments.counts, _OVERLAID}:
            copy(real, home / "finished" / str(count), count, finished)
            copy(real, home / "mixed" / str(count), count, of_every_kind)
        (home / "installed").mkdir()
        env = install(home / "installed")
        print(f"{machine('typer', 'msgspec', 'textual')}; load {os.getloadavg()[0]:.1f}; n = {arguments.n}\n")
        print_tables(home, env, arguments.counts, arguments.n)
        print()
        print_screen(home, env, arguments.n)


def print_tables(home: Path, env: dict[str, str], counts: Sequence[int], n: int) -> None:
    """A row a command, a column a folder."""

    def row(
        title: str, kind: str, command: Sequence[str], before: Callable[[Path], None] = lambda _: None
    ) -> list[str]:
        folders = [home / kind / str(count) for count in counts]
        return [title, *(measured(command, folder, env, n, before) for folder in folders)]

    def rows() -> Iterable[list[str]]:
        for command in _TABLES:
            yield row(f"fbmon {' '.join(command)}", "finished", command)
        yield row("fbmon runs, of every kind", "mixed", ["runs"])
        yield row("fbmon compare, of every kind", "mixed", ["compare"])
        yield row("fbmon runs, no summaries", "finished", ["runs"], forget)
        yield row("fbmon compare, no summaries", "finished", ["compare"], forget)

    print_table(["", *(f"{count:,} runs" for count in counts)], rows())


def print_screen(home: Path, env: dict[str, str], n: int) -> None:
    """From the command to what is to be seen."""
    copied = env | {"FBMON_RUNS": str(home / "finished" / str(_OVERLAID))}
    header = [f"fbmon compare in a terminal, {_OVERLAID} runs", "s, least to most, CPU s"]
    read = re.compile(b"%d drawn.*" % _OVERLAID + CURVE.pattern, re.DOTALL)  # said before it is to be seen
    seen = {"the first curve": CURVE, "all curves": read}
    cases = [Case(title, [sys.executable, "-m", "fbmon", "compare"], pattern) for title, pattern in seen.items()]
    print_table(header, ([case.name, cell([until_seen(case, home, copied) for _ in range(n + 1)])] for case in cases))


def measured(command: Sequence[str], folder: Path, env: dict[str, str], n: int, before: Callable[[Path], None]) -> str:
    """How long a command over the runs in a folder takes."""
    taken = []
    for _ in range(n + 1):
        before(folder)
        taken.append(once([*command, "--runs-dir", str(folder)], folder, env))
    return cell(taken)


def once(command: Sequence[str], place: Path, env: dict[str, str]) -> Taken:
    """How long a command takes, given in a folder that is not this tree's, from which Python would take fbmon."""
    used, began = os.times(), time.perf_counter()
    with tempfile.TemporaryFile() as out:
        subprocess.run([sys.executable, "-m", "fbmon", *command], check=True, stdout=out, cwd=place, env=env)
    taken, now = time.perf_counter() - began, os.times()
    return Taken(taken, now.children_user + now.children_system - used.children_user - used.children_system)


def cell(taken: Sequence[Taken]) -> str:
    """Without the first, which fills the system's caches."""
    wall, cpu = zip(*taken[1:], strict=True)
    return f"{statistics.median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f}; CPU {statistics.median(cpu):.2f})"


def forget(folder: Path) -> None:
    """Delete every summary."""
    for file in folder.glob("*/summary.json"):
        file.unlink()


if __name__ == "__main__":
    main()
