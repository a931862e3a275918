"""`fbmon stop`: end a running run; it saves first."""

import time

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, RunArgument, RunsDir
from fbmon.errors import UsageError


def stop(run: RunArgument = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR) -> None:
    """Stop a running run at its next block; it saves its state first. Default: the newest one that is running.

    Examples: fbmon stop · fbmon stop quickstart
    """
    from fbmon import compare
    from fbmon import folder as folders
    from fbmon.text import clean

    if run is None:
        newest = folders.running(runs_dir)
        if newest is None:
            raise UsageError(f"no run is running in {runs_dir}", "`fbmon runs` lists them all")
        found = newest
    else:
        found = folders.find(runs_dir, run)
    if not found.is_alive():
        typer.echo(f"{clean(found.name)} has already ended: {compare.read(found).state}")
        return
    found.put("stop", "fbmon stop")
    typer.echo(f"asked {clean(found.name)} to stop at its next block; waiting until its state is saved")
    while found.is_alive():
        time.sleep(0.1)
    typer.echo(compare.read(found).state)
