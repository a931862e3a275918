"""What came of the rows: kept as JSON lines, the newest of each row, and shown as docs/matrix.md."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from fbmon.host.disk import replace
from fbmon.text import clean, duration
from tools.matrix.rows import ROWS

State = Literal["passed", "failed", "not to be had here"]

HEAD = """\
# The matrix

`make matrix` runs the whole suite in every environment of this table that is to be had on a machine, and mypy wherever
the versions are others; `python -m tools.matrix --rows lowest,nohup` runs some of them. It writes this file, with the
newest result of each row, from `matrix.jsonl`. What a row needs and the machine does not have is no failure. CPU time
is that of processes that were waited for.
"""


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a row."""

    row: str
    state: State
    commit: str
    day: str
    machine: str = ""
    reason: str = ""  # why it failed without a failed test, or is not to be had
    versions: dict[str, str] = {}
    passed: int = 0
    skipped: int = 0
    failed: list[str] = []
    unfinished: list[str] = []  # those that ran when the time was over
    mypy: str = ""
    wall: float = 0.0
    cpu: float = 0.0


def read(path: Path) -> dict[str, Result]:
    """Return the results by their rows."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    return {result.row: result for result in results}


def changed(result: Result, **fields: object) -> Result:
    """Return a result with some of its fields changed."""
    return msgspec.structs.replace(result, **fields)


def keep(result: Result, docs: Path) -> None:
    """Put a result in the place of the row's last one, and write the page anew."""
    path = docs / "matrix.jsonl"
    results = read(path) | {result.row: result}
    ordered = [results[row.name] for row in ROWS if row.name in results]
    replace(path, b"".join(msgspec.json.encode(one) + b"\n" for one in ordered), mode=0o644)
    replace(docs / "matrix.md", page(results).encode(), mode=0o644)


def page(results: Mapping[str, Result]) -> str:
    """Return the Markdown page."""
    shown = [(row.about, results[row.name]) for row in ROWS if row.name in results]
    parts = [HEAD, "\n".join(_table(shown))]
    parts += [f"- `{result.row}`: {fault}" for _, result in shown for fault in faults(result)]
    parts += [f"`{result.row}`: {_with(result)}." for _, result in shown if result.versions]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def faults(result: Result) -> Iterator[str]:
    """Yield each fault of a row as Markdown."""
    if result.reason:
        yield result.reason
    yield from (f"`{test}` failed" for test in result.failed)
    yield from (f"`{test}` was not done in time" for test in result.unfinished)


def counts(result: Result) -> str:
    """Return `1,204 passed, 3 skipped, 1 failed`."""
    parts = [f"{result.passed:,} passed", f"{result.skipped:,} skipped", f"{len(result.failed):,} failed"]
    return ", ".join(part for part in parts if not part.startswith("0 ")) or "no test was run"


def _table(shown: Iterable[tuple[str, Result]]) -> Iterator[str]:
    yield "| row | what it is | tests | mypy | wall | CPU | commit |"
    yield "|---|---|---|---|---|---|---|"
    for about, result in shown:
        ran = result.state != "not to be had here"
        cells = [
            f"`{result.row}`",
            about,
            f"{'' if result.state == 'passed' else '**failed**: '}{counts(result)}" if ran else result.state,
            result.mypy,
            duration(result.wall) if ran else "",
            duration(result.cpu) if ran else "",
            f"{result.commit}, {result.day}",
        ]
        yield f"| {' | '.join(cells)} |"


def _with(result: Result) -> str:
    return ", ".join([*(f"{name} {version}" for name, version in result.versions.items()), clean(result.machine)])
