"""`fbmon stop`: end a running run; it saves first."""

import time
from typing import TYPE_CHECKING

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, RunningArgument, RunsDir
from fbmon.errors import RankLostError, UsageError

if TYPE_CHECKING:
    from fbmon.run import RunFolder

_LOOK_SECONDS = 0.1


def stop(run: RunningArgument = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR) -> None:
    """Stop a run at its next block, after saving its state. Default: the newest run that is running.

    Examples: fbmon stop · fbmon stop quickstart
    """
    from fbmon import compare
    from fbmon import run as folders
    from fbmon.run import Life
    from fbmon.text import clean

    if run is None:
        newest = folders.running(runs_dir)
        if newest is None:
            raise UsageError(f"no run is running in {runs_dir}", "`fbmon runs` lists them all")
        folder = newest
    else:
        folder = folders.find(runs_dir, run)
    seen = folder.look()
    if seen.life is Life.ENDED:
        typer.echo(f"{clean(folder.name)} has already ended: {compare.read(folder).state}")
        return
    if not compare.read(folder).summary.listens:
        raise UsageError(
            f"{clean(folder.name)} does not listen: its program never asks whether it is to stop",
            "end the program itself, or let its loop look at `run.asked_to_stop`",
        )
    folder.put("stop", "fbmon stop")
    if seen.life is Life.UNKNOWN:
        typer.echo(f"whether {clean(folder.name)} still runs cannot be told from here: {seen.trace}")
    typer.echo(f"asked {clean(folder.name)} to stop at its next block; waiting until its state is saved")
    _wait(folder)
    typer.echo(compare.read(folder).state)


def _wait(folder: "RunFolder") -> None:
    """Wait for the end of a run. Raises RankLostError if nothing is heard of it for long."""
    from fbmon.run import SILENCE_SECONDS, Life
    from fbmon.text import clean

    heard = time.monotonic()
    while (seen := folder.look()).life is not Life.ENDED:
        if seen.life is Life.RUNNING:
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENCE_SECONDS:
            hint = "the command stays in its inbox: if the run is still alive, it stops at its next block"
            raise RankLostError(f"{clean(folder.name)} has gone silent: {seen.trace}", hint)
        time.sleep(_LOOK_SECONDS)
