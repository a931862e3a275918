"""`fbmon compare`: runs side by side."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.complete import column_names
from fbmon.cli.options import (
    DEFAULT_RUNS_DIR,
    Columns,
    Csv,
    Json,
    Latex,
    Markdown,
    RunsDir,
    Sort,
    Ui,
    choose_form,
    choose_ui,
)
from fbmon.cli.output import aligned, print_json
from fbmon.cli.tables import Runs, chosen_runs, no_run_message, print_groups_json, print_table
from fbmon.errors import UsageError

if TYPE_CHECKING:
    from fbmon.compare import Run
    from fbmon.compare.facts import Field
    from fbmon.compare.sheet import Sheet


def compare(
    runs: Runs = None,
    columns: Columns = None,
    sort: Sort = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="One row per value of this column, such as recipe or variant: mean ± sd over the n finished runs.",
            autocompletion=column_names,
        ),
    ] = None,
    only_changed: Annotated[
        bool, typer.Option("--only-changed", metavar="", help="Leave out columns that are the same for all runs.")
    ] = False,
    no_ui: Annotated[bool, typer.Option("--no-ui", metavar="", help="Print the table even in a terminal.")] = False,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    list_columns: Annotated[
        bool,
        typer.Option(
            "--list-columns", metavar="", help="List every name that columns, sorting and queries accept, and exit."
        ),
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Compare runs side by side: final and best values beside the reported ones, and the settings in which they differ.

    In a terminal, a screen overlays their curves; in a pipe or with --no-ui, the table is printed.

    \b
    Examples:
      fbmon compare
      fbmon compare 'fb_*' --sort val_accuracy:max
      fbmon compare state:finished 'optimizer.lr>=0.4' -name:debug
      fbmon compare --group variant --markdown
      fbmon compare --columns run,best.val_accuracy,time --csv
    """
    if list_columns:
        _list_columns(json)
        return
    form = choose_form(csv=csv, markdown=markdown, latex=latex, json=json)
    is_full = form == "text" and _is_screen_wanted(no_ui)
    from fbmon.cli.terminal_guard import keep

    kept = keep() if is_full else None  # before anything that starts threads
    from fbmon.compare.columns import DEFAULT_COLUMNS, columns_for
    from fbmon.compare.columns import only_changed as changed_of

    def select_runs() -> "list[Run]":
        selected = chosen_runs(runs_dir, runs or [], sort)
        if not selected:
            raise UsageError(
                no_run_message(runs_dir, runs or []), "`fbmon runs` lists all, `fbmon run quickstart` starts one"
            )
        return selected

    selected = select_runs()
    shown = columns_for(selected, columns, DEFAULT_COLUMNS, with_settings=True, with_odd=not is_full)
    shown = changed_of(shown, selected) if only_changed else shown
    if kept:
        raise typer.Exit(_show(_sheet(selected, shown, group, sort), select_runs))
    if form == "json":
        _print_json(selected, shown, group)
    else:
        print_table(selected, shown, group, form)


def _is_screen_wanted(no_ui: bool) -> bool:
    return os.environ.get("FBMON_UI", "auto") in ("auto", "full") and choose_ui(Ui.AUTO, no_ui) is Ui.FULL


def _sheet(runs: "list[Run]", columns: "list[Field]", group: str | None, sort: str | None) -> "Sheet":
    from fbmon.compare.fields import find
    from fbmon.compare.order import parse_order
    from fbmon.compare.sheet import Sheet

    sheet = Sheet(runs, columns, find(group, runs) if group else None)
    sheet.order = parse_order(sort, runs) if sort else None
    return sheet


def _show(sheet: "Sheet", read_again: "Callable[[], list[Run]]") -> int:
    from fbmon.run import RunFolder
    from fbmon.store.bulk import begin_to_read

    drawn = [run for row in sheet.drawn(sheet.rows()) for run in row.counted]
    begun = begin_to_read([RunFolder(run.path).journal for run in drawn])  # while this process imports Textual
    from fbmon.cli.show import collect_garbage_again
    from fbmon.host.own_folders import config_folder
    from fbmon.ui.compare.app import CompareApp

    app = CompareApp(sheet, read_again, config_folder() / "screen.json", begun)
    collect_garbage_again()
    app.run()
    return app.return_code or 0


def _print_json(runs: "list[Run]", columns: "Sequence[Field]", group: str | None) -> None:
    from fbmon.compare.differing import differing
    from fbmon.compare.plain_data import run_data

    if group:
        print_groups_json(runs, columns, group)
    else:
        print_json({"runs": [run_data(run) for run in runs], "differing": differing(runs)})


def _list_columns(json: bool) -> None:
    from fbmon.compare import fields

    every = fields.every()
    if json:
        print_json([{"name": name, "description": about} for name, about in every])
        return
    typer.echo("\n".join(aligned(every, left=2)))
