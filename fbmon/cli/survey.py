"""The common part of the commands that look at a run's minimum: the run, the answers, and what a Ctrl-C leaves."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fbmon.cli.intact import read_recipe
from fbmon.cli.progress import counted
from fbmon.errors import Exit, UsageError

if TYPE_CHECKING:
    from fbmon.analysis import Probe, Record
    from fbmon.run import RunFolder

Steps = Annotated[
    str,
    typer.Option(metavar="A,B,...", help="The steps of the checkpoints; -1 is the newest, -2 the one before it."),
]
Images = Annotated[
    Literal["train", "val"], typer.Option(help="The training images, without augmentation, or the validation images.")
]
Statistics = Annotated[
    Literal["run", "fresh"],
    typer.Option(help="The batch-norm statistics: those of the run, or fresh ones at every point."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**31, help="The seed of the random directions.")]
Devices = Annotated[str, typer.Option(help="As for `fbmon run`; every device takes its share of the points.")]


def chosen_folders(runs_dir: Path, runs: list[str] | None) -> "list[RunFolder]":
    """Return the folders of `runs_or_newest`, the oldest first. Raises UsageError for a run that is not intact."""
    from fbmon.cli.tables import runs_or_newest
    from fbmon.run import RunFolder

    folders = [RunFolder(run.path) for run in reversed(runs_or_newest(runs_dir, runs))]
    for folder in folders:
        read_recipe(folder)
    return folders


def chosen_steps(folder: "RunFolder", steps: str) -> list[int]:
    """Return the steps of the requested checkpoints. Raises UsageError for what is not a number, or not kept."""
    from fbmon.analysis.record import checkpoint
    from fbmon.text import clean

    try:
        numbers = [int(part) for part in steps.split(",")]
    except ValueError:
        raise UsageError(f"--steps {clean(steps)}: must be whole numbers, such as 100,200 or -1") from None
    return list(dict.fromkeys(checkpoint(folder, number) for number in numbers))


def answer(asked: "Sequence[tuple[Record, Sequence[Probe]]]", devices: str, what: str) -> None:
    """Answer the probes that are still open, with a progress bar on stderr. A Ctrl-C exits with code 130."""
    from fbmon.analysis.survey import missing, survey

    total = sum(len(set(probes)) for _, probes in asked)
    done = total - sum(len(missing(record, probes)) for record, probes in asked)
    if done == total:
        return
    try:
        with counted(what, done, total) as step:
            survey(asked, devices, step)
    except KeyboardInterrupt:
        left = sum(len(missing(record, probes)) for record, probes in asked)
        sys.stderr.write(f"stopped: {total - left} of {total} {what} are kept; run the same command to continue\n")
        raise typer.Exit(Exit.STOPPED) from None
