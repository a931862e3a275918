"""`fbmon runs`: list the runs with their true state."""

from typing import TYPE_CHECKING

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import make_console, print_json

if TYPE_CHECKING:
    from fbmon.compare import Glance


def runs(json: Json = False, runs_dir: RunsDir = DEFAULT_RUNS_DIR) -> None:
    """List all runs, newest first: state, steps, latest validation accuracy, last sign of life.

    Examples: fbmon runs · fbmon runs --json
    """
    from fbmon import compare
    from fbmon import folder as folders

    listed = [compare.glance(folder) for folder in folders.every(runs_dir)]
    if json:
        print_json(listed)
        return
    if not listed:
        from fbmon.text import clean

        typer.echo(f"no run in {clean(str(runs_dir))}; start one with: fbmon run quickstart")
        return
    _print(listed)


def _print(listed: "list[Glance]") -> None:
    import time

    from rich.table import Table

    from fbmon import metrics
    from fbmon.text import clean, duration

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("val acc", justify="right")
    table.add_column("last seen", justify="right")
    for run in listed:
        sign = duration(max(0.0, time.time() - run.last_sign)) + " ago" if run.last_sign else "–"
        accuracy = metrics.show("val_accuracy", run.val_accuracy)
        table.add_row(clean(run.run), run.state, f"{run.step}/{run.steps}", accuracy, sign)
    make_console().print(table)
