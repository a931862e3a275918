"""Which runs are meant: by path, name, the beginning of a name, glob or query."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fbmon import folder as folders
from fbmon.compare.many import Notice, read_all
from fbmon.compare.query import Query, is_glob, is_term, keep, matches_text, parse, refuse_unknown_state
from fbmon.compare.run import Run
from fbmon.folder import RunFolder


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
    found: dict[Path, Run] = {}
    read_already: dict[Path, Run] = {}
    for query in queries:
        for run in _answer(query, paths, every, runs_dir, read_already, notice):
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def _answer(
    query: Query,
    paths: Sequence[str],
    every: Sequence[RunFolder],
    runs_dir: Path,
    read_already: dict[Path, Run],
    notice: Notice,
) -> list[Run]:
    named = [folder for path in paths for folder in _in(Path(path))]
    for name in query.names:
        named += _named(name, every, runs_dir)
    meant = named if paths or query.names else every
    new = {folder.path: folder for folder in meant if folder.path not in read_already}
    read_already |= {run.path: run for run in read_all(list(new.values()), notice)}
    return keep([read_already[folder.path] for folder in meant], query.terms)


def _named(name: str, every: Iterable[RunFolder], runs_dir: Path) -> list[RunFolder]:
    """Of those whose whole name it is, which it matches as a glob, or whose name begins with it, the first kind."""
    every = list(every)
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
