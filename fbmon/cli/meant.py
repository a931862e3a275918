"""The run that is meant where none is named; it is said where it is not simply the newest."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.run import RunFolder


def meant(runs_dir: Path, given: str | None, *, running_first: bool = False) -> "RunFolder":
    """The run given; else the newest that is running or has taken a step, with `running_first` one that is running.

    Raises UsageError when there is none.
    """
    from fbmon import run as folders

    if given is not None:
        return folders.find(runs_dir, given)
    found = (folders.running(runs_dir) if running_first else None) or folders.find(runs_dir, None)
    newest = folders.every(runs_dir)[0]
    if newest.path != found.path:
        which = "is running" if found.is_alive() else "has taken a step"
        typer.echo(f"{clean(found.name)}: the newest run that {which}; newer is {clean(newest.name)}", err=True)
    return found
