"""The choice of runs: by path, name, the beginning of a name, glob or query."""

from collections.abc import Sequence
from pathlib import Path

from fbmon import run as folders
from fbmon.compare.many import Notice, read_all
from fbmon.compare.query import Query, is_glob, is_term, keep, matches_text, parse, refuse_unknown_state
from fbmon.compare.run import Run
from fbmon.run import RunFolder


def select(runs_dir: Path, arguments: Sequence[str], notice: Notice = lambda _journals: None) -> list[Run]:
    """The runs meant, in the order in which they are named, else newest first; nothing given means all in `runs_dir`.

    `notice` is called as in `read_all`. Raises UsageError for a name or path that no run has, and for a query that
    makes no sense.
    """
    paths = [argument for argument in arguments if not is_term(argument) and _holds_runs(Path(argument))]
    queries = parse(argument for argument in arguments if argument not in paths)
    for term in (term for query in queries for term in query.terms):
        refuse_unknown_state(term)
    every = folders.every(runs_dir)
    meant = [_meant(query, paths, every, runs_dir) for query in queries]
    once = {folder.path: folder for several in meant for folder in several}
    runs = {run.path: run for run in read_all(list(once.values()), notice)}
    found: dict[Path, Run] = {}
    for query, several in zip(queries, meant, strict=True):
        for run in keep([runs[folder.path] for folder in several], query.terms):
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def _meant(query: Query, paths: Sequence[str], every: Sequence[RunFolder], runs_dir: Path) -> Sequence[RunFolder]:
    """The runs that a query speaks of, whether its terms hold or not."""
    if not paths and not query.names:
        return every
    named = [folder for path in paths for folder in _in(Path(path))]
    return named + [folder for name in query.names for folder in _named(name, every, runs_dir)]


def _named(name: str, every: Sequence[RunFolder], runs_dir: Path) -> list[RunFolder]:
    """Return the runs whose whole name it is, else those that it matches as a glob, else those that begin with it."""
    if is_glob(name):
        found = [folder for folder in every if matches_text(name, folder.name)]
    else:
        found = [folder for folder in every if folder.name == name]
        found = found or [folder for folder in every if folder.name.startswith(name)]
    if not found:
        raise folders.unknown(name, every, runs_dir)
    return found


def _in(path: Path) -> list[RunFolder]:
    """The run at a path, or the runs in a folder of runs."""
    return [RunFolder(path.resolve())] if folders.is_run(path) else folders.every(path)


def _holds_runs(path: Path) -> bool:
    try:
        return folders.is_run(path) or bool(path.is_dir() and folders.every(path))
    except OSError:  # a name too long, a folder that may not be entered
        return False
