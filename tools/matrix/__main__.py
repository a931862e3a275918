"""Run the test suite in many environments, one after the other, and write docs/matrix.md.

python -m tools.matrix [--rows lowest,nohup] [--missing] [--home ~/.cache/fbmon-matrix] [--minutes 60] [TESTS ...]
"""

import argparse
import datetime
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import machine
from fbmon.text import duration
from tools.matrix import packages, report, suite
from tools.matrix.packages import ContradictionError, NotToBeHadError
from tools.matrix.report import Result
from tools.matrix.rows import ROWS, Row, named, usable_cores

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Places:
    """Folders that every row uses."""

    home: Path  # environments and logs, kept
    work: Path  # the checkout and temporary files of the row that is running, removed after it

    def log(self, row: Row) -> Path:
        return self.home / f"{row.name}.log"

    def outcomes(self, row: Row) -> Path:
        return self.home / f"{row.name}.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help=f"of {','.join(row.name for row in ROWS)}; default: all")
    parser.add_argument("--missing", action="store_true", help="only rows that have not passed at this commit")
    parser.add_argument(
        "--home",
        type=Path,
        default=Path("~/.cache/fbmon-matrix"),
        help="for environments, logs and the outcome of each test",
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="that the tests of a row may take")
    parser.add_argument("--no-table", action="store_true", help="leave docs/matrix.md as it is")
    parser.add_argument("tests", nargs="*", help="default: the whole suite")
    arguments = parser.parse_args()
    os.umask(0o022)  # another user has to read what is made here
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    with _places(arguments.home.expanduser()) as places:
        return _run_all(arguments, places)


def _run_all(arguments: argparse.Namespace, places: Places) -> int:
    commit, results = _git("rev-parse", "--short", "HEAD"), report.read(ROOT / "docs/matrix.jsonl")
    rows = named(arguments.rows)
    if arguments.missing:
        passed = {name for name, result in results.items() if (result.state, result.commit) == ("passed", commit)}
        rows = [row for row in rows if row.name not in passed]
    print(f"fbmon {commit}: {len(rows)} rows, at most {arguments.minutes:g} minutes each; all in {places.home}")
    if _git("status", "--porcelain", "--untracked-files=no"):
        print("What is not committed is not tested.")
    has_failed = False
    for row in rows:
        result = _result(row, commit, places, arguments)
        has_failed |= result.state == "failed"
        if not arguments.no_table:
            report.keep(result, ROOT / "docs")
    return int(has_failed)


def _result(row: Row, commit: str, places: Places, arguments: argparse.Namespace) -> Result:
    """Run a row, with a line as it starts and one as it ends."""
    places.log(row).write_text(f"{row.name}: {row.about}\n", encoding="utf-8")
    print(f"{row.name:<11} {_now():%H:%M}  starts; log: {places.log(row)}", flush=True)
    base = Result(row.name, "failed", commit, f"{_now():%-d %B %Y}", machine())
    try:
        result = _run(row, base, places, arguments)
    except NotToBeHadError as error:
        result = report.changed(base, state="not to be had here", reason=str(error))
    except ContradictionError as error:
        result = report.changed(base, reason=str(error))
    print(f"{'':<11} {_now():%H:%M}  {_said(result)}", flush=True)
    for fault in report.faults(result):
        print(f"{'':<18} {fault}", flush=True)
    return result


def _run(row: Row, base: Result, places: Places, arguments: argparse.Namespace) -> Result:
    checkout, temporary = places.work / "checkout", places.work / row.temporary
    suite.empty(places.work)
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), checkout], check=True)
    python = packages.prepare(row.packages, places.home, checkout, places.log(row))
    _check(row, python)
    temporary.mkdir()
    outcomes = temporary / "outcomes.jsonl"
    if row.user is not None:
        os.chown(temporary, row.user, row.user)
    variables = suite.variables_of(row, python, temporary)
    if row.plain_numpy:
        variables["NPY_DISABLE_CPU_FEATURES"] = packages.numpy_features(python)
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-p",
        "tools.matrix.outcomes",
        f"--outcomes={outcomes}",  # a path of its own would count among those whose pyproject.toml is looked for
        "-p",
        "no:cacheprovider",
    ]
    command += ["-n", "auto", "--dist", "worksteal", *arguments.tests]
    try:
        ran = suite.run(command, row, checkout, variables, arguments.minutes * 60, places.log(row))
    finally:
        if outcomes.exists():  # kept also where the matrix is interrupted
            shutil.copyfile(outcomes, places.outcomes(row))
    tests, mypy = suite.outcomes(outcomes), ""
    if row.is_typed:
        types = suite.run([python, "-m", "mypy"], row, checkout, variables, arguments.minutes * 60, places.log(row))
        mypy = "passed" if types.code == 0 else "**failed**"
    reasons = {None: f"not done within {arguments.minutes:g} minutes", 0: "", 1: ""}
    return report.changed(
        base,
        state="passed" if ran.code == 0 and mypy in {"", "passed"} else "failed",
        reason=reasons.get(ran.code, f"pytest has ended with {ran.code}, see the log"),
        versions=packages.versions(python), mypy=mypy, wall=ran.wall, cpu=ran.cpu,
        passed=tests.passed, skipped=tests.skipped, failed=tests.failed, unfinished=tests.unfinished,
    )  # fmt: skip


def _check(row: Row, python: Path) -> None:
    """Raise NotToBeHadError where this machine or this user cannot give what the row is about."""
    if row.user is not None and os.geteuid():
        raise NotToBeHadError("only root may start the tests as another user")
    if row.user is not None and not packages.is_for_all(python):
        raise NotToBeHadError(f"another user may not run {python.resolve()}, or not read all that leads there")
    if row.cores is not None and not hasattr(os, "sched_setaffinity"):
        raise NotToBeHadError("this system binds no process to a core")
    if row.cores is not None and row.cores > len(usable_cores()):
        raise NotToBeHadError(f"it needs {row.cores} cores")


def _said(result: Result) -> str:
    if result.state == "not to be had here":
        return result.state
    took = f"in {duration(result.wall)}, {duration(result.cpu)} of CPU"
    return f"{result.state}: {report.counts(result)} {took}{result.mypy and f'; mypy {result.mypy}'.replace('*', '')}"


@contextmanager
def _places(home: Path) -> Iterator[Places]:
    """Make the folders, for one matrix at a time; what is in the second one is removed."""
    home.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.gettempdir()) / f"fbmon-matrix-{os.getuid()}"
    with Path(f"{work}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another matrix is running") from None
        try:
            yield Places(home.resolve(), work)
        finally:
            suite.empty(work)
            work.rmdir()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


def _leave(number: int, frame: object) -> None:
    print(f"ended by {signal.Signals(number).name}; --missing goes on", flush=True)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
