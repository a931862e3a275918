"""`fbmon reproduce`: the runs of one of the paper's tables, one after the other, and the table that they give."""

from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.complete import table_names
from fbmon.cli.many import DryRun, Jobs, ManyDevices, Seeds, Shown, carry_out
from fbmon.cli.options import DEFAULT_RUNS_DIR, Csv, Json, Latex, Markdown, NoUi, RunsDir, Ui, UiOption
from fbmon.cli.output import aligned, print_json
from fbmon.cli.run import DataDir, Overrides, Steps, asked_settings

if TYPE_CHECKING:
    from fbmon.reproduce import TableRun

_COLUMNS = "reported,val_accuracy,difference,best.val_accuracy,clipped,time,state"


def reproduce(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[TABLE]",
            help="A table, such as main or digits; without it, all tables are listed.",
            autocompletion=table_names,
        ),
    ] = None,
    seeds: Seeds = "0",
    dry_run: DryRun = False,
    steps: Steps = None,
    overrides: Overrides = None,
    devices: ManyDevices = "auto",
    jobs: Jobs = None,
    ui: UiOption = Ui.AUTO,
    no_ui: NoUi = False,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    data_dir: DataDir = None,
) -> None:
    """Run the recipes of one of the paper's tables, then print the table: our results beside the paper's.

    The runs take turns, or each of several devices has one at a time. A
    finished run of the same settings is not repeated, one that was stopped or
    killed resumes from its newest checkpoint, and one that is still running is
    watched to its end. After an interruption, run the same command to continue.

    \b
    Examples:
      fbmon reproduce
      fbmon reproduce digits --seeds 0-2
      fbmon reproduce main --dry-run
      fbmon reproduce main --seeds 0-4 --devices 0,1,2,3
      fbmon reproduce fixed --ui none --markdown
    """
    if table is None:
        _list_tables(json)
        return
    shown = Shown.chosen(ui, _COLUMNS, no_ui=no_ui, dry_run=dry_run, csv=csv, markdown=markdown, latex=latex, json=json)

    def make() -> "list[TableRun]":
        from fbmon import reproduce as tables

        return tables.tasks(table, tables.parse_seeds(seeds), asked_settings(overrides, steps, None))

    carry_out(make, shown, runs_dir, data_dir, devices, jobs, dry_run=dry_run)


def _list_tables(json: bool) -> None:
    from fbmon import reproduce as tables

    rows_by_table = tables.tables()
    if json:
        print_json(rows_by_table)
        return
    rows = [(name, ", ".join(row.rpartition("/")[2] for row in rows)) for name, rows in rows_by_table.items()]
    typer.echo("\n".join(aligned(rows, left=2)))
