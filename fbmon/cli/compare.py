"""`fbmon compare`: runs side by side."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.errors import UsageError

if TYPE_CHECKING:
    from fbmon.compare import Comparison


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
        import msgspec

        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(table)) + b"\n")
        return
    _print(table)


def _print(comparison: "Comparison") -> None:
    from rich.table import Table

    from fbmon import metrics
    from fbmon.cli.output import make_console
    from fbmon.text import clean, duration

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run")
    for heading in (
        "state",
        "step",
        "val accuracy",
        "best",
        "at step",
        "train loss",
        "val loss",
        "clipped",
        "time",
    ):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    for setting in comparison.differing:
        table.add_column(setting, justify="right", style="cyan")
    for row in comparison.runs:
        table.add_row(
            clean(row.run),
            row.state,
            f"{row.step}/{row.steps}",
            metrics.show("val_accuracy", row.val_accuracy),
            metrics.show("val_accuracy", row.best_val_accuracy),
            "–" if row.best_step is None else str(row.best_step),
            metrics.show("loss", row.loss),
            metrics.show("val_loss", row.val_loss),
            f"{row.clipped_share:.0%}",
            duration(row.seconds),
            *(clean(str(row.settings.get(setting, "–"))) for setting in comparison.differing),
        )
    make_console().print(table)
