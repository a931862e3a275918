"""The choice of runs: by path, name, the beginning of a name, glob or query."""

from collections.abc import Sequence
from pathlib import Path

from fbmon import run as folders
from fbmon.compare.many import Notice, read_all
from fbmon.compare.query import Query, is_glob, is_term, keep, matches_text, parse, refuse_unknown_state
from fbmon.compare.run import Run
from fbmon.run import RunFolder


def select(runs_dir: Path, arguments: Sequence[str], notice: Notice = lambda _journals: None) -> list[Run]:
    """Return the runs asked for, in the order in which they are named, else newest first; by default all in `runs_dir`.

    `notice` is called as in `read_all`. Raises UsageError for a name or path that no run has, and for a query that
    makes no sense.
    """
    paths = [argument for argument in arguments if not is_term(argument) and _holds_runs(Path(argument))]
    queries = parse(argument for argument in arguments if argument not in paths)
    for term in (term for query in queries for term in query.terms):
        refuse_unknown_state(term)
    every = folders.every(runs_dir)
    candidates = [_candidates(query, paths, every, runs_dir) for query in queries]
    once = {folder.path: folder for of_query in candidates for folder in of_query}
    runs = {run.path: run for run in read_all(list(once.values()), notice)}
    selected: dict[Path, Run] = {}
    for query, of_query in zip(queries, candidates, strict=True):
        for run in keep([runs[folder.path] for folder in of_query], query.terms):
            selected.setdefault(run.path.resolve(), run)
    return list(selected.values())


def _candidates(query: Query, paths: Sequence[str], every: Sequence[RunFolder], runs_dir: Path) -> Sequence[RunFolder]:
    """Return the runs that a query names, whether its terms hold for them or not."""
    if not paths and not query.names:
        return every
    named = [folder for path in paths for folder in _in(Path(path))]
    return named + [folder for name in query.names for folder in _named(name, every, runs_dir)]


def _named(name: str, every: Sequence[RunFolder], runs_dir: Path) -> list[RunFolder]:
    """Return the runs that a glob matches, or that have exactly this name, else those that begin with it."""
    if is_glob(name):
        matching = [folder for folder in every if matches_text(name, folder.name)]
    else:
        matching = [folder for folder in every if folder.name == name]
        matching = matching or [folder for folder in every if folder.name.startswith(name)]
    if not matching:
        raise folders.unknown(name, every, runs_dir)
    return matching


def _in(path: Path) -> list[RunFolder]:
    """Return the run at a path, or the runs in a folder of runs."""
    return [RunFolder(path.resolve())] if folders.is_run(path) else folders.every(path)


def _holds_runs(path: Path) -> bool:
    try:
        return folders.is_run(path) or bool(path.is_dir() and folders.every(path))
    except OSError:  # a name too long, a folder that may not be entered
        return False
