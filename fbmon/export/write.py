"""The files of an export, and where they go; nothing is overwritten unless that was asked for."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, assert_never

from fbmon.compare import Run
from fbmon.errors import FbmonError, UsageError
from fbmon.export import rows
from fbmon.host.disk import replace
from fbmon.run import RunFolder
from fbmon.text import clean_path

_NAMED = 10  # of what is in the way

Kind = Literal["tensorboard", "csv", "jsonl", "svg", "html"]


def export(runs: Sequence[Run], kind: Kind, out: Path, *, force: bool) -> list[Path]:
    """Write the runs into the folder `out` and return what was written.

    svg and html are one file for all the runs, the others one for each. Raises UsageError where something is there
    already, naming all of it: then nothing is written, so that no export is half new. Raises FbmonError where nothing
    can be written.
    """
    goals = [out / name for name in names(runs, kind)]
    there = [goal for goal in goals if goal.exists()]
    if there and not force:
        raise _in_the_way(there)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(runs, kind, goals)
    except OSError as error:
        raise FbmonError(f"{clean_path(out)}: cannot write into this folder: {error.strerror}") from None
    return goals


def _in_the_way(there: Sequence[Path]) -> UsageError:
    named = ", ".join(clean_path(path) for path in there[:_NAMED])
    more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    verb, them = ("exists", "it") if len(there) == 1 else ("exist", "them")
    return UsageError(
        f"{named}{more} already {verb}; nothing was written", f"--force overwrites {them}, --out names another folder"
    )


def names(runs: Sequence[Run], kind: Kind) -> list[str]:
    """Return the names of the files, or for TensorBoard of the folders: safe ones, each different."""
    if kind in ("svg", "html"):
        return [f"{_safe(runs[0].name) if len(runs) == 1 else 'comparison'}.{kind}"]
    suffix = "" if kind == "tensorboard" else f".{kind}"
    file_names: list[str] = []
    for run in runs:
        name = _safe(run.name)
        while f"{name}{suffix}" in file_names:
            name += "_"
        file_names.append(f"{name}{suffix}")
    return file_names


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".") or "run"


def _write(runs: Sequence[Run], kind: Kind, goals: Sequence[Path]) -> None:
    match kind:
        case "csv" | "jsonl":
            text = rows.csv_text if kind == "csv" else rows.jsonl_text
            for run, goal in zip(runs, goals, strict=True):
                replace(goal, text(rows.read_rows(RunFolder(run.path).journal)).encode(), mode=0o666)
        case "tensorboard":
            from fbmon.export import tensorboard

            for run, goal in zip(runs, goals, strict=True):
                _remove_events(goal)
                tensorboard.write(RunFolder(run.path), goal)
        case "svg":
            from fbmon.chart.svg import svg
            from fbmon.export import panels

            replace(goals[0], svg(panels.of(runs)).encode(), mode=0o666)
        case "html":
            from fbmon.export import report

            replace(goals[0], report.page(runs).encode(), mode=0o666)
        case _:
            assert_never(kind)


def _remove_events(goal: Path) -> None:
    """Remove old event files, which TensorBoard would draw together with the new one."""
    with suppress(FileNotFoundError):
        for path in goal.iterdir():
            if path.name.startswith("events.out.tfevents."):
                path.unlink()
