"""A run as columns: one row per step with all its values, as CSV with units or as JSON lines."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from fbmon import metrics
from fbmon.events import Analysed, Event, GradientClipped, StepTaken, Validated
from fbmon.run.journal import Tail


class StepRow(msgspec.Struct):
    """The values of one step; a step that was repeated has its latest values."""

    step: int
    time: float  # seconds since 1970
    elapsed: float  # seconds since the run began
    clipped: bool
    values: dict[str, float | None]


def read_rows(journal: Path) -> list[StepRow]:
    """Return the steps of a journal in order; an unknown value is missing or None."""
    return of_events(Tail(journal).read())


def of_events(events: Iterable[Event]) -> list[StepRow]:
    """Return the steps that a run's events tell, likewise."""
    rows: dict[int, StepRow] = {}
    clipped: set[int] = set()
    analysed: dict[int, dict[str, float | None]] = {}
    for event in events:
        match event:
            case GradientClipped(step=step):
                clipped.add(step)
            case StepTaken(step=step, values=values):
                ahead = analysed.pop(step, {})
                rows[step] = StepRow(step, event.time, event.elapsed, step in clipped, values | ahead)
                clipped.discard(step)
            case Validated(step=step, values=values):
                rows.setdefault(step, StepRow(step, event.time, event.elapsed, False, {})).values.update(values)
            case Analysed(step=step, values=values):  # part of it comes before its step
                (rows[step].values if step in rows else analysed.setdefault(step, {})).update(values)
            case _:
                pass
    return [rows[step] for step in sorted(rows)]


def names(rows: Iterable[StepRow]) -> list[str]:
    """Return the metrics that occur, in the order of metrics.py, then any others."""
    seen = dict.fromkeys(name for row in rows for name in row.values)
    return [name for name in metrics.BY_NAME if name in seen] + [name for name in seen if name not in metrics.BY_NAME]


def csv_text(rows: Sequence[StepRow]) -> str:
    """Return a heading with units, then the rows; every number reads back equal, an unknown one is empty."""
    named = names(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "time [s since 1970]", "elapsed [s]", "clipped [0/1]", *map(heading, named)])
    for row in rows:
        values = (row.values.get(name) for name in named)
        writer.writerow([row.step, repr(row.time), repr(row.elapsed), int(row.clipped), *values])
    return out.getvalue()


def jsonl_text(rows: Sequence[StepRow]) -> str:
    """Return one flat JSON object per step."""
    encoder = msgspec.json.Encoder()
    lines: Iterable[dict[str, float | None]] = (
        {"step": row.step, "time": row.time, "elapsed": row.elapsed, "clipped": row.clipped, **row.values}
        for row in rows
    )
    return "".join(encoder.encode(line).decode() + "\n" for line in lines)


def heading(name: str) -> str:
    """Return a metric's name with its unit, if it has one."""
    if name.endswith("_seconds"):
        return f"{name} [s]"
    return f"{name} [1/s]" if name.endswith("_per_second") else name
