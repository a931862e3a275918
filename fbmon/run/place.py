"""The folder in which runs lie."""

import os
from pathlib import Path

from fbmon.errors import UsageError
from fbmon.text import clean_path


def usual() -> Path:
    """The folder of all runs, unless a command is told otherwise."""
    return Path(os.environ.get("FBMON_RUNS") or "runs")


def refuse_file(runs_dir: Path) -> None:
    """Raises UsageError where something lies that is no folder."""
    if runs_dir.exists() and not runs_dir.is_dir():
        raise UsageError(f"{clean_path(runs_dir)}: is not a folder", "name one with --runs-dir or FBMON_RUNS")
