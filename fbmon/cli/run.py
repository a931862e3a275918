"""`fbmon run`: start a training in the background and show it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.complete import recipe_names
from fbmon.cli.options import DEFAULT_RUNS_DIR, Detach, NoUi, RunsDir, Ui, UiOption, choose_ui
from fbmon.cli.output import mention, warn_of_logout
from fbmon.cli.resume import has_finished

if TYPE_CHECKING:
    from fbmon.run import RunFolder

RecipeArgument = Annotated[
    str,
    typer.Argument(
        help="A recipe file, or the name of a shipped one (`fbmon recipe list`).", autocompletion=recipe_names
    ),
]
Steps = Annotated[int | None, typer.Option(min=1, help="Stop after this many steps; the schedule stays as it is.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The seed of weights and augmentation.")]
Devices = Annotated[
    str,
    typer.Option(help="auto (every GPU), cpu, cpu:N, cuda:N or N, or several GPUs, such as 0,1,2: one process each."),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="FBMON_DATA",
        help="The folder that holds cifar-10-batches-py; default: fbmon's cache folder, or data if there is none.",
    ),
]
StallLimit = Annotated[
    float | None,
    typer.Option(
        min=1,
        metavar="SECONDS",
        help="Give up when no block finishes for this long; default: 60, or ten times the longest block so far.",
    ),
]


def run(
    recipe: RecipeArgument,
    ui: UiOption = Ui.AUTO,
    no_ui: NoUi = False,
    steps: Steps = None,
    seed: Seed = None,
    devices: Devices = "auto",
    name: Annotated[str | None, typer.Option(help="The name of the run; default: the recipe's.")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    data_dir: DataDir = None,
    overrides: Overrides = None,
    stall_limit: StallLimit = None,
    detach: Detach = False,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN[@STEP|best|last]",
            help="Begin with the weights of another run's checkpoint, by default its newest; all else begins anew.",
        ),
    ] = None,
) -> None:
    """Start a training in the background and show it live.

    The training goes on when this screen is left, closed or killed; `fbmon
    watch` shows it again. Inside a torchrun or srun job, this process trains as
    one of the job's ranks. A job that Slurm has requeued resumes its run.

    Examples: fbmon run quickstart · fbmon run recipes/fb_strong_reg.toml --no-ui --set optimizer.lr=0.4 ·
    fbmon run mine.toml --from quickstart@best
    """
    from fbmon.cli.terminal_guard import keep
    from fbmon.ranks.rank import job_of, rank_in_job

    rank, job = rank_in_job(os.environ), job_of(os.environ)
    shown = Ui.NONE if detach else choose_ui(Ui.PLAIN if rank and ui in (Ui.AUTO, Ui.FULL) else ui, no_ui)

    kept = keep() if shown is Ui.FULL else None  # before the imports that start threads
    from fbmon import recipe as recipes
    from fbmon import run as folders
    from fbmon.cli.show import show_started, start
    from fbmon.ranks.devices import check_loopback, expand, here, parse

    file = recipes.find(recipe)
    loaded = recipes.load(file, asked_settings(overrides, steps, seed), mention)
    run_name, resolved = loaded.name if name is None else name, recipes.dump(loaded)
    # In a job every rank sees the GPUs of its own machine.
    on, data = parse(devices) if rank else here(devices, os.environ), folders.data_folder(data_dir)
    if not rank:
        check_loopback(expand(on, os.environ))

    is_first = rank is None or rank.index == 0
    beginning = folders.find_beginning(runs_dir, origin) if origin and is_first else None
    begun = folders.of_job(runs_dir, job.name, run_name, resolved) if job.is_restarted and is_first else None

    def find() -> "RunFolder":
        code = folders.code_of(loaded)
        return begun or folders.create(
            runs_dir, run_name, file, resolved, on, data, job.name, stall_limit, code, beginning
        )

    if rank:
        from fbmon.cli.member import take_part

        raise typer.Exit(take_part(loaded, rank, on, data, find, shown, stall_limit))
    if begun and has_finished(begun, loaded.steps):
        return
    warn_of_logout()
    handle = start(find, shown, kept, detach=detach)
    raise typer.Exit(show_started(handle, shown, detach=detach))


def asked_settings(overrides: list[str] | None, steps: int | None, seed: int | None) -> list[str]:
    """Return all changes to the recipe, in the form of --set."""
    asked = list(overrides or [])
    asked += [f"steps={steps}"] if steps is not None else []
    asked += [f"seed={seed}"] if seed is not None else []
    return asked
