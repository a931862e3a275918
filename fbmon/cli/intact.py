"""Checks that a run's folder is as its run left it: made before anything starts, without torch."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from fbmon.errors import DataError, UsageError
from fbmon.text import clean, clean_path

if TYPE_CHECKING:
    from fbmon.recipe import Recipe
    from fbmon.run import RunFolder

_BEGINNING = 1 << 12  # bytes of a journal, which opens with the name of its run


def read_recipe(folder: "RunFolder") -> "Recipe":
    """Return the recipe that a run is resumed or analysed with.

    Raises UsageError, of which RecipeError is a kind, if the recipe is faulty or missing, if it is not that of the
    newest state, and if the journal belongs to another run; FbmonError if there are states that cannot be read.
    """
    from fbmon import recipe as recipes
    from fbmon.run import checkpoint, refuse_changed
    from fbmon.run.checkpoints import path_of, refusing_unreadable, steps_to_go_on_from

    _refuse_tracked(folder)
    recipe, name = recipes.load(folder.resolved), folder.first_name()
    refuse_changed(recipe, folder.read_meta())
    _refuse_other_kinds(folder)
    _refuse_other_journal(folder, name)
    with refusing_unreadable():
        for step in reversed(steps_to_go_on_from(folder.checkpoints)):
            with suppress(DataError):  # whoever reads a state that cannot be used reports it
                state = checkpoint.read_state(path_of(folder.checkpoints, step), name)
                checkpoint.refuse_changes(state, recipe, clean_path(folder.resolved))
                break
    return recipe


def _refuse_tracked(folder: "RunFolder") -> None:
    from fbmon.run import as_path

    meta = folder.read_meta()
    if meta and meta.is_tracked:
        raise UsageError(
            f"{clean(folder.name)} was trained by another program, {clean_path(as_path(meta.recipe_file))}",
            "start that program again; fbmon.track(..., resume=True) lets it go on with this run",
        )


def renew_meta(folder: "RunFolder") -> None:
    """Rewrite a run's meta.json if it is lost, and say so."""
    from fbmon.run import data_folder, renew

    if folder.read_meta() is None:
        data = data_folder(None)
        sys.stderr.write(f"{clean(folder.name)}: meta.json is missing or damaged; rewriting it, with data in {data}\n")
        renew(folder, _name_in_journal(folder) or folder.name, data)


def _refuse_other_kinds(folder: "RunFolder") -> None:
    for path in (folder.checkpoints, folder.inbox):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{clean_path(path)}: is a file, but must be a folder", "move it away")
    for path in (folder.journal, folder.telemetry, folder.log):
        if path.is_dir():
            raise UsageError(f"{clean_path(path)}: is a folder, but must be a file", "move it away")


def _refuse_other_journal(folder: "RunFolder", name: str) -> None:
    journal_name = _name_in_journal(folder)
    if name and journal_name and journal_name not in (name, folder.name):
        raise UsageError(
            f"{clean_path(folder.journal)}: belongs to another run, {clean(journal_name)}",
            f"put that of {clean(name)} back, or move this one away: the run then continues with a new one",
        )


def _name_in_journal(folder: "RunFolder") -> str:
    """Return the name with which a journal opens; empty where that line is lost."""
    from fbmon.events import RunStarted
    from fbmon.run.journal import Tail

    first = next(iter(Tail(folder.journal).read(_BEGINNING)), None)
    return first.run if isinstance(first, RunStarted) else ""
