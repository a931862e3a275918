"""`fbmon run`: start a training in the background and show it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, NoUi, RunsDir, Ui, UiOption, choose_ui
from fbmon.cli.resume import has_finished
from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.folder import RunFolder


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one (`fbmon recipe list`).")],
    ui: UiOption = Ui.AUTO,
    no_ui: NoUi = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after this many steps; the schedule stays.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed of weights and augmentation.")] = None,
    devices: Annotated[
        str, typer.Option(help="auto (every GPU), cpu, cpu:N, cuda:N or N, or several GPUs as 0,1,2: one process each.")
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="The name of the run; default: the recipe's.")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="FBMON_DATA",
            help="The folder that holds cifar-10-batches-py; default: fbmon's cache folder.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
    stall_limit: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Give up when no block ends for so long; default: 60, or ten times the longest block so far.",
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start in the background, print the run's name, and leave.")
    ] = False,
) -> None:
    """Start a training in the background and show it live.

    The training goes on when this screen is left, closed or killed; `fbmon watch` shows it again. In a job of torchrun
    or srun this is one of its ranks and starts nothing. A job that Slurm has requeued goes on with its run.

    Examples: fbmon run quickstart · fbmon run recipes/fb_strong_reg.toml --no-ui --set optimizer.lr=0.4
    """
    from fbmon import folder as folders
    from fbmon import launch
    from fbmon import recipe as recipes
    from fbmon.cli.show import show  # before the start: from then on a Ctrl-C has to be passed on at once
    from fbmon.crew.devices import parse
    from fbmon.crew.seat import job_of, job_seat

    seat, job = job_seat(os.environ), job_of(os.environ)
    shown = Ui.NONE if detach else choose_ui(Ui.PLAIN if seat and ui in (Ui.AUTO, Ui.FULL) else ui, no_ui)
    asked = list(overrides or [])
    asked += [f"steps={steps}"] if steps is not None else []
    asked += [f"seed={seed}"] if seed is not None else []
    file = recipes.find(recipe)
    wanted = recipes.load(file, asked)
    named, resolved = wanted.name if name is None else name, recipes.dump(wanted)
    on, data = parse(devices), _data_folder(data_dir)

    def make() -> "RunFolder":
        begun = folders.of_job(runs_dir, job.name, named, resolved) if job.is_restarted else None
        return begun or folders.create(runs_dir, named, file, resolved, on, data, job.name, stall_limit)

    if seat:
        from fbmon.cli.member import take_part

        raise typer.Exit(take_part(wanted, seat, on, data, make, shown, stall_limit))
    folder = make()
    if has_finished(folder):
        return
    handle = launch.start(folder, queue=shown is not Ui.NONE)
    if detach:
        typer.echo(f"{clean(str(folder.path), 4096)}\nwatch it with: fbmon watch {folder.name}")
        return
    raise typer.Exit(show(handle, shown, started_here=True))


def _data_folder(given: Path | None) -> Path:
    if given is not None:
        return given
    import platformdirs

    return Path(os.path.abspath(platformdirs.user_cache_dir("fbmon")))  # noqa: PTH100 - may not exist yet
