"""Many runs in turn, as a table or a sweep asks for them, and the table that they give: what both commands do."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fbmon.cli.costs import print_costs
from fbmon.cli.options import Ui, choose_form, choose_ui
from fbmon.cli.tables import print_groups_json, print_table
from fbmon.errors import Exit
from fbmon.host.signals import SIGNALS, handlers_restored
from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.cli.terminal_guard import Kept
    from fbmon.compare import Run
    from fbmon.compare.table import Format
    from fbmon.reproduce import TableRun

Seeds = Annotated[str, typer.Option(metavar="0,1,2|0-4", help="The seeds of every recipe.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", metavar="", help="Say what is done already and what the rest would cost; start nothing."),
]
ManyDevices = Annotated[
    str, typer.Option(help="auto (every GPU), cpu, cpu:N, or GPUs, such as 0,1,2: one run on each at a time.")
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Runs at a time, each on an equal share of the devices; default: as many as devices."),
]


@dataclass(frozen=True)
class Shown:
    """The way in which progress and table are shown."""

    ui: Ui
    form: "Format | Literal['json']"
    columns: str

    @classmethod
    def chosen(
        cls, ui: Ui, columns: str, *, no_ui: bool, dry_run: bool, csv: bool, markdown: bool, latex: bool, json: bool
    ) -> "Shown":
        """Return what was asked for: with a form for programs, or to start nothing, there is no progress to see."""
        form = choose_form(csv=csv, markdown=markdown, latex=latex, json=json)
        is_silent = dry_run or (form != "text" and ui is Ui.AUTO and not no_ui)
        return cls(Ui.NONE if is_silent else choose_ui(ui, no_ui), form, columns)


def carry_out(
    make: "Callable[[], list[TableRun]]",
    shown: Shown,
    runs_dir: Path,
    data_dir: Path | None,
    devices: str,
    jobs: int | None,
    *,
    dry_run: bool,
) -> None:
    """Make the list of runs, take each in turn unless it is done, and print the table. Exits if one fails."""
    from fbmon.cli.terminal_guard import keep

    kept = keep() if shown.ui is Ui.FULL else None  # before the imports that start threads
    from fbmon import reproduce as tables
    from fbmon import run as folders
    from fbmon.ranks.devices import check_loopback, deal, expand, here

    tasks = make()
    device = here(devices, os.environ)
    if dry_run:
        print_costs(tasks, runs_dir, device, shown.form == "json")
        return
    shares = deal(expand(device, os.environ), jobs) if jobs else expand(device, os.environ)
    for share in shares:
        check_loopback(expand(share, os.environ))
    data = folders.data_folder(data_dir)
    if len(shares) > 1:
        from fbmon.cli.parallel import Parallel

        codes = Parallel(shares, runs_dir, data, lambda line: _say(line, shown.ui)).carry_out(tasks)
    else:
        labels = [f"run {number} of {len(tasks)}" for number in range(1, len(tasks) + 1)]
        codes = [
            _carry_out(task, label, runs_dir, shares[0], data, shown.ui, kept)
            for task, label in zip(tasks, labels, strict=True)
        ]
    runs = [run for task in tasks if (run := tables.done(task, runs_dir))]
    _print(runs, shown)
    if any(codes):
        raise typer.Exit(Exit.FAILED)


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


def _print(runs: "Sequence[Run]", shown: Shown) -> None:
    from fbmon.compare.columns import by_score, columns_for

    if not runs:
        sys.stderr.write("no run has produced a result\n")
        return
    columns = columns_for(runs, by_score(shown.columns, runs), (), with_settings=False)
    if shown.form == "json":
        print_groups_json(list(runs), columns, "recipe")
    else:
        print_table(list(runs), columns, "recipe", shown.form)
