"""The paper's tables as lists of runs: which recipes, which seeds, and which of them have been run already."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.compare import Run, read
from fbmon.compare.settings import read_settings
from fbmon.errors import RecipeError, UsageError
from fbmon.recipe import Recipe
from fbmon.run import RunFolder
from fbmon.text import clean

MAIN = "main"
# The order of the paper's rows; what is not named here comes behind.
_ROWS = ("sgd", "fb_baseline", "fb_longer", "fb_clipped", "fb_regularized", "fb_strong_reg", "fb_practice")
_NOT_IN_A_TABLE = ("quickstart", "digits/edge")
_SETTLED = ("finished", "diverged")  # the same recipe would diverge again, at the same step
_INTERRUPTED = ("stopped", "preempted", "killed", "unknown")  # to go on with the last is refused, in few words
_MANY_SEEDS = 1000


@dataclass(frozen=True)
class TableRun:
    """One run of a table."""

    recipe: Recipe
    file: Path


def tables() -> dict[str, list[str]]:
    """Return the tables and the shipped recipes that are their rows, in the order of the paper."""
    rows_by_table: dict[str, list[str]] = {MAIN: []}
    for name in recipes.shipped():
        table, _, _ = name.rpartition("/")
        if name not in _NOT_IN_A_TABLE:
            rows_by_table.setdefault(table or MAIN, []).append(name)
    return {table: sorted(names, key=_row_order) for table, names in rows_by_table.items()}


def tasks(table: str, seeds: Iterable[int], overrides: Sequence[str] = ()) -> list[TableRun]:
    """Return the runs of a table, seed by seed, so that every row has a first result early. Raises UsageError."""
    rows_by_table = tables()
    if table not in rows_by_table:
        raise UsageError(f"{clean(table)}: no such table", f"the tables are {', '.join(rows_by_table)}")
    shipped = recipes.shipped()
    files = [(shipped[name], seed) for seed in seeds for name in rows_by_table[table]]
    return [TableRun(recipes.load(file, (*overrides, f"seed={seed}")), file) for file, seed in files]


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in `0,1,2` or `0-4`. Raises UsageError."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip(), re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first >= _MANY_SEEDS:
            raise UsageError(
                f"--seeds {clean(text)}: must be whole numbers", "for example --seeds 0,1,2 or --seeds 0-4"
            )
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def done(task: TableRun, runs_dir: Path) -> Run | None:
    """Return the newest finished, diverged or living run of exactly these settings, whatever its name; else None."""
    return next((run for run in _alike(task, runs_dir) if run.is_alive or run.state in _SETTLED), None)


def to_resume(task: TableRun, runs_dir: Path) -> RunFolder | None:
    """Return the newest run of exactly these settings that was, or may have been, interrupted: it can be resumed."""
    return next((RunFolder(run.path) for run in _alike(task, runs_dir) if run.state in _INTERRUPTED), None)


def start_folder(task: TableRun, runs_dir: Path, devices: str, data_dir: Path) -> RunFolder:
    """Create a new run's folder, named after the recipe and its seed."""
    name = f"{task.recipe.name[:48]}-seed{task.recipe.seed}"
    resolved, code = recipes.dump(task.recipe), folders.code_of(task.recipe)
    return folders.create(runs_dir, name, task.file, resolved, devices, data_dir, code=code)


def _alike(task: TableRun, runs_dir: Path) -> Iterator[Run]:
    """Yield the runs of exactly these settings and this code, newest first, that began with weights of their own."""
    settings = _without_target(recipes.flatten(task.recipe))
    for folder in folders.every(runs_dir):
        own = _without_target(read_settings(folder.resolved))
        is_older = own.keys() < settings.keys() and all(settings[key] == value for key, value in own.items())
        if own == settings or (is_older and _completed(folder) == settings):
            meta, run = folder.read_meta(), read(folder)
            has_own_code = not meta or meta.code == folders.digests(folders.code_of(task.recipe))
            if has_own_code and not (run.summary.began and run.summary.began.origin):
                yield run


def _completed(folder: RunFolder) -> dict[str, object]:
    """Return the settings of a run of an older fbmon, with those that it did not have yet at their defaults."""
    with suppress(RecipeError):
        return _without_target(recipes.flatten(recipes.load(folder.resolved)))
    return {}


def _without_target(settings: dict[str, object]) -> dict[str, object]:
    """Leave out the reported result of a setting, which changes nothing in a run."""
    return {key: value for key, value in settings.items() if not key.startswith("target.")}


def _row_order(name: str) -> tuple[int, str]:
    last = name.rpartition("/")[2]
    return _ROWS.index(last) if last in _ROWS else len(_ROWS), last
