"""The code that a recipe names in the folder of its run, so that a run goes on with what it began with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fbmon.errors import UsageError
from fbmon.host.disk import write_new
from fbmon.run.meta import Meta
from fbmon.text import clean, clean_path

if TYPE_CHECKING:  # pydantic takes a while to import, and who only looks at runs needs none of it
    from fbmon.recipe import Recipe


def code_of(recipe: "Recipe") -> dict[str, bytes]:
    """Return the files of the code that a recipe names, by their paths as seen from it; none if it is a package's.

    Raises UsageError for two files of one name from different folders: a run's folder has one place for both.
    """
    from fbmon.recipe.sources import closure

    files: dict[str, bytes] = {}
    for key, section in recipe.code.items():
        reference = section.reference
        if reference is None or not reference.is_file:
            continue
        for name, content in closure(reference, section.folder).items():
            if files.setdefault(name, content) != content:
                raise UsageError(f"{key}: there are two different files {clean(name)}, in different folders")
    return files


def keep(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a run's folder, where its resolved recipe finds them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(path, content)


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def refuse_changed(recipe: "Recipe", meta: Meta | None) -> None:
    """Raise UsageError if the code, found where the recipe lies, is not that with which the run began."""
    before = meta.code if meta else {}
    if not before:
        return
    now = digests(code_of(recipe))
    changed = [name for name in before | now if before.get(name) != now.get(name)]
    if changed:
        raise UsageError(
            f"{clean_path(_folder(recipe) / changed[0])}: changed since the run began, by its SHA-256",
            f"restore {clean(changed[0])}, or start a new run with it",
        )


def _folder(recipe: "Recipe") -> Path:
    """Return the folder of the code of a run, which is the run's own."""
    return next(section.folder for section in recipe.code.values() if section.reference and section.reference.is_file)
