"""`fbmon runs`: list the runs with their true state."""

from typing import TYPE_CHECKING, Any

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Columns, Csv, Json, Latex, Markdown, RunsDir, Sort, choose_form
from fbmon.cli.output import print_json
from fbmon.cli.tables import Runs, chosen_runs, no_run_message, print_table

if TYPE_CHECKING:
    from fbmon.compare import Run


def runs(
    runs: Runs = None,
    columns: Columns = None,
    sort: Sort = None,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """List runs, newest first: state, steps, latest and best validation accuracy, time, last sign of life.

    Among the states: running (alive), stalled (alive but silent), killed (died
    without a last word), unknown (silent, on another host), damaged
    (unreadable). fbmon deletes nothing: to remove a run, rm -r its folder.

    \b
    Examples:
      fbmon runs
      fbmon runs state:running
      fbmon runs 'seen<1d' --sort val_accuracy --json
    """
    from fbmon.compare.columns import LIST_COLUMNS, columns_for

    form = choose_form(csv=csv, markdown=markdown, latex=latex, json=json)
    listed = chosen_runs(runs_dir, runs or [], sort)
    if form == "json":
        print_json([_data(run) for run in listed])
    elif not listed:
        hint = "`fbmon runs` lists all" if runs else "start one with: fbmon run quickstart"
        typer.echo(f"{no_run_message(runs_dir, runs or [])}; {hint}")
    else:
        print_table(listed, columns_for(listed, columns, LIST_COLUMNS, with_settings=False), None, form)


def _data(run: "Run") -> dict[str, Any]:
    from fbmon.compare.fields import find

    names = ("run", "path", "recipe", "state", "step", "steps", "val_accuracy", "flop", "damaged")
    return {name: find(name).value(run) for name in names} | {"last_sign": run.last_sign}
