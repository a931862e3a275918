"""`fbmon run`: start a training in the background and show it."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from fbmon.cli.complete import recipe_names
from fbmon.cli.options import DEFAULT_RUNS_DIR, NoUi, RunsDir, Ui, UiOption, choose_ui
from fbmon.errors import UsageError
from fbmon.text import clean

RecipeArgument = Annotated[
    str,
    typer.Argument(
        help="A recipe file, or the name of a shipped one (`fbmon recipe list`).", autocompletion=recipe_names
    ),
]
Steps = Annotated[int | None, typer.Option(min=1, help="Stop after this many steps; the schedule stays.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The seed of weights and augmentation.")]
Devices = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or N.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="FBMON_DATA", help="The folder that holds cifar-10-batches-py; default: fbmon's cache folder."),
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
    detach: Annotated[
        bool, typer.Option("--detach", help="Start in the background, print the run's name, and leave.")
    ] = False,
) -> None:
    """Start a training in the background and show it live.

    The training goes on when this screen is left, closed or killed; `fbmon watch` shows it again.

    Examples: fbmon run quickstart · fbmon run recipes/fb_strong_reg.toml --no-ui --set optimizer.lr=0.4
    """
    shown = Ui.NONE if detach else choose_ui(ui, no_ui)
    from fbmon.keeper import keep

    kept = keep() if shown is Ui.FULL else None  # before the imports that start threads
    from fbmon import folder as folders
    from fbmon import launch
    from fbmon import recipe as recipes
    from fbmon.cli.show import show  # before the start: from then on a Ctrl-C has to be passed on at once

    file = recipes.find(recipe)
    wanted = recipes.load(file, asked_settings(overrides, steps, seed))
    folder = folders.create(
        runs_dir,
        wanted.name if name is None else name,
        file,
        recipes.dump(wanted),
        choose_device(devices),
        data_folder(data_dir),
    )
    handle = launch.start(folder, queue=shown is not Ui.NONE)
    if kept:
        kept.shows(folder.path)
    if detach:
        typer.echo(f"{clean(str(folder.path), 4096)}\nwatch it with: fbmon watch {folder.name}")
        return
    raise typer.Exit(show(handle, shown, started_here=True))


def asked_settings(overrides: list[str] | None, steps: int | None, seed: int | None) -> list[str]:
    """All that is laid over the recipe, as --set has it."""
    asked = list(overrides or [])
    asked += [f"steps={steps}"] if steps is not None else []
    asked += [f"seed={seed}"] if seed is not None else []
    return asked


def choose_device(devices: str) -> str:
    """The device that is meant, as the trainer names it. Raises UsageError."""
    if devices in ("auto", "cpu") or re.fullmatch(r"cuda:\d+", devices, re.ASCII):
        return devices
    if devices == "cuda":
        return "cuda:0"
    if re.fullmatch(r"\d+", devices, re.ASCII):
        return f"cuda:{devices}"
    if "," in devices or re.fullmatch(r"cpu:\d+", devices, re.ASCII):
        raise UsageError(f"--devices {clean(devices)}: training on several devices is not there yet", "name one device")
    raise UsageError(f"--devices {clean(devices)}: must be auto, cpu, cuda, cuda:N or N")


def data_folder(given: Path | None) -> Path:
    """Where the data sets lie, or are downloaded to."""
    if given is not None:
        return given
    import platformdirs

    return Path(os.path.abspath(platformdirs.user_cache_dir("fbmon")))  # noqa: PTH100 - may not exist yet
