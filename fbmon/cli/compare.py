"""`fbmon compare`: runs side by side."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import make_console, print_json
from fbmon.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from fbmon.compare import Comparison, Row

_DISPENSABLE = ("at step", "val loss", "loss", "time", "clipped")


def compare(
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Default: all runs.")] = None,
    json: Json = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Put runs side by side: final and best values, and the settings in which they differ.

    Examples: fbmon compare · fbmon compare quickstart-20260101-120000 runs/other --json
    """
    from fbmon import compare as comparing
    from fbmon import folder as folders

    chosen = [folders.find(runs_dir, run) for run in runs] if runs else folders.every(runs_dir)
    if not chosen:
        raise UsageError(f"no run in {runs_dir}", "start one with `fbmon run quickstart`")
    table = comparing.compare([comparing.read(folder) for folder in chosen])
    if json:
        print_json(table)
        return
    _print(table)


def _print(comparison: "Comparison") -> None:
    """The table; in a terminal too narrow for it, without the least telling columns."""
    from rich.measure import Measurement

    console = make_console()
    left_out: set[str] = set()
    for heading in ("", *_DISPENSABLE):
        left_out.add(heading)
        table = _table(comparison, left_out)
        if Measurement.get(console, console.options.update(width=10_000), table).maximum <= console.width:
            break
    console.print(table)


def _table(comparison: "Comparison", left_out: set[str]) -> "Table":
    from rich.table import Table

    rows = [_cells(row) | _settings(row, comparison.differing) for row in comparison.runs]
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = [heading for heading in rows[0] if heading not in left_out]
    for heading in headings:
        justify: Literal["left", "right"] = "left" if heading in ("run", "state") else "right"
        table.add_column(heading, justify=justify, no_wrap=True, style="cyan" if "." in heading else "")
    for row in rows:
        table.add_row(*(row[heading] for heading in headings))
    return table


def _cells(row: "Row") -> dict[str, str]:
    from fbmon import metrics
    from fbmon.text import clean, duration

    return {
        "run": clean(row.run),
        "state": row.state,
        "step": f"{row.step}/{row.steps}",
        "val acc": metrics.show("val_accuracy", row.val_accuracy),
        "best": metrics.show("val_accuracy", row.best_val_accuracy),
        "at step": "–" if row.best_step is None else str(row.best_step),
        "loss": metrics.show("loss", row.loss),
        "val loss": metrics.show("val_loss", row.val_loss),
        "clipped": f"{row.clipped_share:.0%}",
        "time": duration(row.seconds),
    }


def _settings(row: "Row", keys: list[str]) -> dict[str, str]:
    from fbmon.text import clean

    return {key: clean(str(row.settings.get(key, "–")), 24) for key in keys}
