"""`fbmon compare`: runs side by side."""

from typing import Annotated

import typer

from fbmon.cli.complete import column_names
from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import print_json
from fbmon.cli.tables import (
    Columns,
    Csv,
    Latex,
    Markdown,
    Runs,
    Sort,
    choose_format,
    chosen_runs,
    no_run_message,
    print_groups_json,
    print_table,
)
from fbmon.errors import UsageError


def compare(
    runs: Runs = None,
    columns: Columns = None,
    sort: Sort = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="One row for all runs alike in it, as recipe: mean ± sd over n finished ones.",
            autocompletion=column_names,
        ),
    ] = None,
    only_changed: Annotated[
        bool, typer.Option("--only-changed", help="Leave out columns that say the same of all runs.")
    ] = False,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    list_columns: Annotated[
        bool, typer.Option("--list-columns", help="Name everything that columns, sorting and queries know, and leave.")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Put runs side by side: final and best values beside the reported ones, and the settings in which they differ.

    \b
    Examples:
      fbmon compare
      fbmon compare 'fb_*' --sort val_accuracy:max
      fbmon compare state:finished 'optimizer.lr>=0.4' -name:debug
      fbmon compare --group recipe --markdown
      fbmon compare --columns run,best.val_accuracy,time --csv
    """
    if list_columns:
        _list_columns(json)
        return
    from fbmon.compare.columns import DEFAULT_COLUMNS, columns_for
    from fbmon.compare.columns import only_changed as changed_of
    from fbmon.compare.data import run_data
    from fbmon.compare.settings import differing

    wanted = choose_format(csv, markdown, latex, json)
    chosen = chosen_runs(runs_dir, runs or [], sort)
    if not chosen:
        raise UsageError(
            no_run_message(runs_dir, runs or []), "`fbmon runs` lists all, `fbmon run quickstart` starts one"
        )
    shown = columns_for(chosen, columns, DEFAULT_COLUMNS, with_settings=True)
    shown = changed_of(shown, chosen) if only_changed else shown
    if json and group:
        print_groups_json(chosen, shown, group)
    elif json:
        print_json({"runs": [run_data(run) for run in chosen], "differing": differing(chosen)})
    else:
        print_table(chosen, shown, group, wanted)


def _list_columns(json: bool) -> None:
    from fbmon.compare import fields

    every = fields.every()
    if json:
        print_json([{"name": name, "description": about} for name, about in every])
        return
    width = max(len(name) for name, _ in every)
    for name, about in every:
        typer.echo(f"{name:<{width}}  {about}")
