"""`fbmon resume`: go on with a run that was stopped or killed."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.further import further
from fbmon.cli.intact import read_recipe, renew_meta
from fbmon.cli.options import DEFAULT_RUNS_DIR, Detach, NoUi, RunArgument, RunsDir, Ui, UiOption, choose_ui
from fbmon.cli.output import warn_of_logout
from fbmon.errors import UsageError
from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.run import RunFolder


def resume(
    run: RunArgument = None,
    ui: UiOption = Ui.AUTO,
    no_ui: NoUi = False,
    devices: Annotated[
        str | None, typer.Option(help="Other devices than before, as for `fbmon run`; the numbers stay the same.")
    ] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    detach: Detach = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            metavar="",
            help="Resume although the run may still be training on another host, silent for a minute or more.",
        ),
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Train on to so many steps in all, also a run that has finished.")
    ] = None,
    stretch: Annotated[
        bool,
        typer.Option(
            "--stretch", metavar="", help="With --steps: let the schedule take as many times as long as the run."
        ),
    ] = False,
) -> None:
    """Resume a run that was stopped, preempted or killed, in its own folder, from its newest good checkpoint.

    It ends with the same bits as a run that was never interrupted. With
    --steps it trains on; its schedule is kept, unless it is to be stretched.

    Examples: fbmon resume · fbmon resume quickstart --devices cpu:2 · fbmon resume quickstart --steps 180 --stretch
    """
    if stretch and steps is None:
        raise UsageError("--stretch needs --steps", "for example --steps 600 --stretch")
    shown = Ui.NONE if detach else choose_ui(ui, no_ui)
    from fbmon.cli.terminal_guard import keep

    kept = keep() if shown is Ui.FULL else None  # before the imports that start threads
    from fbmon.cli.default_run import run_or_newest
    from fbmon.cli.show import show_started, start
    from fbmon.ranks.devices import check_loopback, expand, here

    folder = run_or_newest(runs_dir, run)
    if not folder.is_alive():
        renew_meta(folder)
        recipe = read_recipe(folder)
        if steps in (None, recipe.steps) and has_finished(folder, recipe.steps):
            return
    meta = folder.read_meta()
    before = meta.devices if meta else "auto"
    on = here(before if devices is None else devices, os.environ)
    check_loopback(expand(on, os.environ))
    warn_of_logout()
    longer = None if steps is None else further(folder, steps, stretch=stretch)

    def find() -> "RunFolder":
        if longer:
            longer.write()
        return folder

    handle = start(find, shown, kept, devices=None if devices is None else on, detach=detach, force=force)
    warn_of_other_machine(folder)  # not of a run that is refused; torch takes seconds until a step is taken
    raise typer.Exit(show_started(handle, shown, detach=detach))


def warn_of_other_machine(folder: "RunFolder") -> None:
    """Print a line on stderr if a run resumes on a different machine, as far as that is known without torch."""
    import sys

    from fbmon.compare import read
    from fbmon.host.processor import machine_without_torch
    from fbmon.store.notes import moved

    plan = read(folder).summary.plan
    if not plan or not plan.machine:
        return
    differences = moved(plan.machine, machine_without_torch(plan.machine.torch))
    if differences:
        sys.stderr.write(f"warning: {clean(differences, 1000)}\n")


def has_finished(folder: "RunFolder", steps: int) -> bool:
    """Say whether a run has no step left to take, and tell the user if so; `steps` may be more than before."""
    from fbmon.events import RunEnded
    from fbmon.run.journal import last_event

    last = last_event(folder.journal)
    if not isinstance(last, RunEnded) or last.state != "finished" or last.step < steps or folder.is_alive():
        return False
    typer.echo(
        f"{clean(folder.name)} has already finished, after step {last.step}; see it with: fbmon watch {folder.typed}"
    )
    return True
