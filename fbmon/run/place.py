"""The folder in which runs lie."""

import os
from pathlib import Path

from fbmon.errors import UsageError
from fbmon.text import clean_path


def usual() -> Path:
    """The folder of all runs, unless a command is told otherwise."""
    return Path(os.environ.get("FBMON_RUNS") or "runs")


def data_folder(given: Path | None) -> Path:
    """Return where the data sets lie, or are downloaded to: as given, or by $FBMON_DATA."""
    if given is not None:
        return given
    if os.environ.get("FBMON_DATA"):
        return Path(os.environ["FBMON_DATA"])
    from fbmon.host.own_folders import cache_folder, is_writable
    from fbmon.recipe import DATA_SETS

    usual = cache_folder()
    archives = [facts.archive for facts in DATA_SETS.values() if facts.archive]
    has_data = any((usual / name).exists() for archive in archives for name in (archive.folder, archive.file))
    return usual if has_data or is_writable(usual) else Path("data").absolute()


def refuse_file(runs_dir: Path) -> None:
    """Raises UsageError where something lies that is no folder."""
    if runs_dir.exists() and not runs_dir.is_dir():
        raise UsageError(f"{clean_path(runs_dir)}: is not a folder", "name one with --runs-dir or FBMON_RUNS")
