"""The runs that there are, and the one that is meant."""

import difflib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fbmon.errors import UsageError
from fbmon.run.folder import RunFolder
from fbmon.run.place import refuse_file
from fbmon.text import clean, clean_path


def every(runs_dir: Path) -> list[RunFolder]:
    """All runs in `runs_dir`, newest first; none where there is no such folder yet. Raises UsageError for a file."""
    refuse_file(runs_dir)
    if not runs_dir.is_dir():
        return []
    folders = [RunFolder(path) for path in runs_dir.iterdir() if is_run(path)]
    return sorted(folders, key=_created, reverse=True)


def running(runs_dir: Path) -> RunFolder | None:
    """The newest run that is alive."""
    return next((folder for folder in every(runs_dir) if folder.is_alive()), None)


def find(runs_dir: Path, given: str | None) -> RunFolder:
    """The run meant by `given`: a path, a folder name, or the beginning of one (the newest such).

    None is the newest that has begun; if none has, the newest. Raises UsageError when there is none.
    """
    if given is not None and is_run(Path(given)):
        return RunFolder(Path(given).resolve())
    runs = every(runs_dir)
    if given is None and runs:
        return next((folder for folder in runs if folder.has_begun()), runs[0])
    if given is None:
        raise UsageError(
            f"no run in {clean_path(runs_dir)}",
            "start one with `fbmon run quickstart`, or name the folder with --runs-dir",
        )
    # A whole name comes first: the second run of a second is called as the first one is, with -2 behind it.
    for folder in sorted(runs, key=lambda run: run.name != given):
        if folder.name.startswith(given):
            return folder
    raise unknown(given, runs, runs_dir)


def unknown(given: str, runs: Iterable[RunFolder], runs_dir: Path) -> UsageError:
    """Return the error for a name that none of the runs has: it names the nearest that there is."""
    called = dict.fromkeys(name for run in runs for name in (run.given_name, run.name))
    near = difflib.get_close_matches(given, called, n=1)
    hint = f"did you mean {clean(near[0])}?" if near else "`fbmon runs` lists them"
    return UsageError(f"{clean(given)}: no such run in {clean_path(runs_dir)}", hint)


def of_job(runs_dir: Path, job: str, name: str, resolved: str) -> RunFolder | None:
    """The newest run of this name and recipe that an earlier start of the batch job `job` has begun."""
    for folder in every(runs_dir):
        meta = folder.read_meta()
        with suppress(OSError):
            is_of_job = meta is not None and meta.job == job and folder.given_name == name
            if is_of_job and folder.resolved.read_text("utf-8") == resolved:
                return folder
    return None


def is_run(path: Path) -> bool:
    """Say whether a path is a run's folder, be it half made or half lost."""
    try:
        return (path / "meta.json").is_file() or (path / "journal.jsonl").is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _created(folder: RunFolder) -> tuple[float, str]:
    for path in (folder.meta, folder.resolved, folder.path):
        with suppress(OSError):
            return path.stat().st_mtime, folder.name
    return 0.0, folder.name
