"""The weights of another run with which one begins, kept in its own folder."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from fbmon.errors import DataError, UsageError
from fbmon.run import checkpoint
from fbmon.run.checkpoints import path_of, steps
from fbmon.run.discovery import find
from fbmon.run.folder import RunFolder
from fbmon.run.meta import Origin
from fbmon.text import clean, clean_path

_PLACE = re.compile(r"(.+)@(\d+|best|last)", re.ASCII)


class Beginning(NamedTuple):
    """An origin and its tensors, as safetensors."""

    origin: Origin
    content: bytes


def find_beginning(runs_dir: Path, given: str) -> Beginning:
    """Return what `RUN`, `RUN@STEP`, `RUN@best` or `RUN@last` means; without a step it is the newest checkpoint.

    Raises UsageError if there is no such run or checkpoint, DataError if it is damaged.
    """
    match = _PLACE.fullmatch(given)
    folder = find(runs_dir, match[1] if match else given)
    there, name = steps(folder.checkpoints), clean(folder.name)
    if not there:
        raise UsageError(f"--from {clean(given)}: {name} has no checkpoint")
    place = match[2] if match else "last"
    step = there[-1] if place == "last" else _best(folder, there[-1]) if place == "best" else int(place)
    if step not in there:
        raise UsageError(
            f"--from {clean(given)}: {name} has no checkpoint of step {step}, but of {', '.join(map(str, there))}"
        )
    state, content = checkpoint.read(path_of(folder.checkpoints, step), folder.first_name())
    return Beginning(Origin(folder.name, step, state.tensors), content)


def read_origin(folder: RunFolder, origin: Origin) -> bytes:
    """Return the weights that a run began with. Raises DataError if they are not those any more."""
    try:
        content = folder.origin.read_bytes()
    except OSError as error:
        raise DataError(f"{clean_path(folder.origin)}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != origin.sha256:
        raise DataError(
            f"{clean_path(folder.origin)}: changed since the run began, by its SHA-256",
            f"it was the tensors of {origin}",
        )
    return content


def _best(folder: RunFolder, newest: int) -> int:
    return checkpoint.read_state(path_of(folder.checkpoints, newest), folder.first_name()).best_step
