"""`fbmon reproduce`: the runs of one of the paper's tables, one after the other, and the table that they give."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fbmon.cli.complete import table_names
from fbmon.cli.costs import print_costs
from fbmon.cli.options import (
    DEFAULT_RUNS_DIR,
    Csv,
    Json,
    Latex,
    Markdown,
    NoUi,
    RunsDir,
    Ui,
    UiOption,
    choose_form,
    choose_ui,
)
from fbmon.cli.output import aligned, print_json
from fbmon.cli.run import DataDir, Overrides, Steps, asked_settings
from fbmon.cli.tables import print_groups_json, print_table
from fbmon.errors import Exit
from fbmon.host.signals import SIGNALS, handlers_restored
from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.cli.terminal_guard import Kept
    from fbmon.compare import Run
    from fbmon.compare.table import Format
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
    seeds: Annotated[str, typer.Option(metavar="0,1,2|0-4", help="The seeds of every recipe.")] = "0",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", metavar="", help="Say what is done already and what the rest would cost; start nothing."
        ),
    ] = False,
    steps: Steps = None,
    overrides: Overrides = None,
    devices: Annotated[
        str, typer.Option(help="auto (every GPU), cpu, cpu:N, or GPUs, such as 0,1,2: one run on each at a time.")
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time, each on an equal share of the devices; default: as many as devices."),
    ] = None,
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
    form = choose_form(csv=csv, markdown=markdown, latex=latex, json=json)
    is_silent = dry_run or (form != "text" and ui is Ui.AUTO and not no_ui)
    shown = Ui.NONE if is_silent else choose_ui(ui, no_ui)
    from fbmon.cli.terminal_guard import keep

    kept = keep() if shown is Ui.FULL else None  # before the imports that start threads
    from fbmon import reproduce as tables
    from fbmon import run as folders
    from fbmon.ranks.devices import check_loopback, deal, expand, here

    asked = asked_settings(overrides, steps, None)
    tasks = tables.tasks(table, tables.parse_seeds(seeds), asked)
    device = here(devices, os.environ)
    if dry_run:
        print_costs(tasks, runs_dir, device, json)
        return
    shares = deal(expand(device, os.environ), jobs) if jobs else expand(device, os.environ)
    for share in shares:
        check_loopback(expand(share, os.environ))
    data = folders.data_folder(data_dir)
    if len(shares) > 1:
        from fbmon.cli.parallel import Parallel

        codes = Parallel(shares, runs_dir, data, lambda line: _say(line, shown)).carry_out(tasks)
    else:
        labels = [f"run {number} of {len(tasks)}" for number in range(1, len(tasks) + 1)]
        codes = [
            _carry_out(task, label, runs_dir, shares[0], data, shown, kept)
            for task, label in zip(tasks, labels, strict=True)
        ]
    runs = [run for task in tasks if (run := tables.done(task, runs_dir))]
    _print(runs, form)
    if any(codes):
        raise typer.Exit(Exit.FAILED)


def _list_tables(json: bool) -> None:
    from fbmon import reproduce as tables

    rows_by_table = tables.tables()
    if json:
        print_json(rows_by_table)
        return
    rows = [(name, ", ".join(row.rpartition("/")[2] for row in rows)) for name, rows in rows_by_table.items()]
    typer.echo("\n".join(aligned(rows, left=2)))


def _carry_out(
    task: "TableRun", label: str, runs_dir: Path, devices: str, data_dir: Path, ui: Ui, kept: "Kept | None"
) -> int:
    """Start a task's run, or watch the one that exists; return 0 if it has a result. Exits when the user leaves."""
    from fbmon import reproduce as tables
    from fbmon.cli.show import show, start
    from fbmon.compare import read
    from fbmon.process import launch
    from fbmon.run import RunFolder

    there = tables.done(task, runs_dir)
    if there and not there.is_alive:
        _say(f"{there.name}: already {there.state}", ui)
        return 0
    with handlers_restored(SIGNALS):
        if there:
            handle = launch.attach(RunFolder(there.path))
            if kept:
                kept.shows(there.path)
        else:
            interrupted = tables.to_resume(task, runs_dir)
            handle = start(
                lambda: interrupted or tables.start_folder(task, runs_dir, devices, data_dir),
                ui,
                kept,
                devices=devices if interrupted else None,
            )
        code = show(handle, ui, stays=False, label=label)  # the next run waits
    if handle.alive:  # the screen was left
        _say("left; run the same command to continue", ui)
        raise typer.Exit
    if code in (Exit.STOPPED, Exit.PREEMPTED):
        _say("run the same command to continue", ui)
        raise typer.Exit(code)
    if code not in (Exit.FINISHED, Exit.DIVERGED) and read(handle.folder).summary.step == 0:
        _say("it did not take a single step: no other run of the table would either", ui)
        raise typer.Exit(code)
    return 0 if code == Exit.DIVERGED else code


def _say(line: str, ui: Ui) -> None:
    if ui is not Ui.NONE:
        typer.echo(clean(line, 400))


def _print(runs: "list[Run]", form: "Format | Literal['json']") -> None:
    from fbmon.compare.columns import columns_for

    if not runs:
        sys.stderr.write("no run has produced a result\n")
        return
    columns = columns_for(runs, _COLUMNS, (), with_settings=False)
    if form == "json":
        print_groups_json(runs, columns, "recipe")
    else:
        print_table(runs, columns, "recipe", form)
