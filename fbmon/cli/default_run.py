"""The run that a command is about if none is named, with a line on stderr if it is not simply the newest."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.run import RunFolder


def run_or_newest(runs_dir: Path, given: str | None, *, running_first: bool = False) -> "RunFolder":
    """Return the given run, or else the newest that is running or has taken a step.

    With `running_first`, a run that is running comes before a newer one that is not. Raises UsageError if there is no
    run at all.
    """
    from fbmon import run as folders

    if given is not None:
        return folders.find(runs_dir, given)
    folder = (folders.running(runs_dir) if running_first else None) or folders.find(runs_dir, None)
    newest = folders.every(runs_dir)[0]
    if newest.path != folder.path:
        which = "is running" if folder.is_alive() else "has taken a step"
        typer.echo(f"{clean(folder.name)}: the newest run that {which} ({clean(newest.name)} is newer)", err=True)
    return folder
