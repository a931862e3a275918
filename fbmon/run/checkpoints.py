"""Names of checkpoints, and the steps of which a folder has one; checkpoint.py knows what is in them."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fbmon.errors import FbmonError

_NAME = re.compile(r"step-(\d{8,})", re.ASCII)


def path_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of a step in a folder of checkpoints."""
    return folder / f"step-{step:08d}"


def steps(folder: Path) -> list[int]:
    """The steps of which there is a checkpoint, ascending; none where the folder cannot be read."""
    try:
        return steps_to_go_on_from(folder)
    except OSError:
        return []


def steps_to_go_on_from(folder: Path) -> list[int]:
    """Return the same, for a run that would begin again at its first step if there were none.

    Raises OSError where the folder is there and cannot be read, or is a link to a disk that is not mounted.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - `glob` takes a folder that cannot be read for an empty one
    except FileNotFoundError:
        if folder.is_symlink():
            raise
        return []
    return sorted(int(name[1]) for name in map(_NAME.fullmatch, names) if name)


@contextmanager
def refusing_unreadable() -> Iterator[None]:
    """Raise FbmonError for states that are there and cannot be read now: they are no damaged ones."""
    try:
        yield
    except OSError as error:
        raise FbmonError(
            f"{error.filename}: cannot be read: {error.strerror}",
            "nothing was changed: `fbmon resume` tries again; move a checkpoint away to resume from an earlier one",
        ) from None
