"""Checkpoints on disk: tensors as safetensors, all else as JSON, both under checksums; written aside, then renamed."""

import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fbmon.errors import DataError, UsageError
from fbmon.host.disk import naming, sync_folder, write_new
from fbmon.run.checkpoints import path_of
from fbmon.text import clean

if TYPE_CHECKING:  # pydantic takes a while to import, and who only looks at runs needs none of it
    from fbmon.recipe import Recipe

# The settings and sections that may be changed between two starts of a run.
_FREE = ("name", "steps", "validation", "checkpoint", "divergence", "restart", "analysis", "target")
_STRETCHES = "schedule.stretches"
_TENSORS = "tensors.safetensors"
_STATE = "state.json"
_SEAL = re.compile(rb',"sha256":"([0-9a-f]{64})"}\n\Z')


class State(msgspec.Struct, frozen=True):
    """The state, besides tensors, of a run; random numbers are functions of (seed, step, image), so need none."""

    step: int  # updates done
    torch: str  # its version
    threads: int  # of the CPU; another number of them has other last bits
    tensors: str = ""  # the SHA-256 of their file; `save` fills it in
    validated: int = 0  # the last step whose validation has been told; 0: none
    best_step: int = 0  # that of the best validation
    # Of it: its accuracy, or the negative loss of a run that has none.
    best_score: float | None = msgspec.field(default=None, name="best_accuracy")
    start_loss: float | None = None  # of the first step
    above: int = 0  # steps in a row whose loss was far above it
    run: str = ""  # what the run was called when it began
    recipe: dict[str, Any] = {}  # all its settings; none in states from before these were noted
    data: str = ""  # the SHA-256 of the user's own samples


def save(folder: Path, state: State, tensors: bytes) -> Path:
    """Write a checkpoint to folder/step-00000042 and return that path. Raises OSError, all then being as before.

    At any moment, also after a kill or a power cut, either the whole checkpoint is there or none of it. What fails
    after the renaming is no error: it is there.
    """
    goal = path_of(folder, state.step)
    if goal.exists():
        with suppress(DataError):  # the same step has the same state, unless it was damaged and could not be set aside
            read(goal)
            return goal
        set_aside(folder, state.step)
    folder.mkdir(mode=0o700, exist_ok=True)
    temporary = folder / f".{goal.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(mode=0o700)
        write_new(temporary / _TENSORS, tensors)
        write_new(temporary / _STATE, _seal(msgspec.structs.replace(state, tensors=digest(tensors))))
        sync_folder(temporary)
        _rename(temporary, goal)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    with suppress(OSError):
        sync_folder(folder)
    return goal


def read(checkpoint: Path, run: str = "") -> tuple[State, bytes]:
    """A checkpoint's state and the content of its tensor file.

    Raises DataError if either is not as it was written, or where it is not of this `run`, and OSError where that cannot
    be told now: for want of a right, of memory, of an answer of the disk.
    """
    state, tensors = read_state(checkpoint, run), _read(checkpoint / _TENSORS)
    if digest(tensors) != state.tensors:
        raise DataError(f"{checkpoint}: {_TENSORS} is damaged: its checksum is not the one in {_STATE}")
    return state, tensors


def read_state(checkpoint: Path, run: str = "") -> State:
    """A checkpoint's state alone. Raises DataError and OSError likewise."""
    content = _read(checkpoint / _STATE)
    try:
        state = _unseal(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{checkpoint}: not a readable checkpoint: {error}") from None
    if run and state.run and state.run != run:
        raise DataError(f"{checkpoint}: belongs to another run, {clean(state.run)}")
    return state


def _read(path: Path) -> bytes:
    try:
        with naming(path):
            return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(f"{path.parent}: not a readable checkpoint: {error}") from None


def changes(state: State, recipe: "Recipe") -> dict[str, tuple[Any, Any]]:
    """Return the settings that are not those that the steps of a state were taken with: before and now, None for none.

    Left out are those that say how long, how often and until when, on which no number hangs.
    """
    from pydantic import ValidationError

    from fbmon.recipe import Recipe

    try:
        before = _lasting(Recipe.model_validate(state.recipe), state.step)
    except ValidationError:  # none, or those of another fbmon
        return {}
    now = _lasting(recipe, state.step)
    return {key: (before.get(key), now.get(key)) for key in before | now if before.get(key) != now.get(key)}


def refuse_changes(state: State, recipe: "Recipe", file: str = "resolved.toml") -> None:
    """Raise UsageError where a run cannot go on from a state, as its settings, read from `file`, were changed."""
    changed = changes(state, recipe)
    if changed:
        words = [f"{key} was {_show(before)} and is {_show(now)}" for key, (before, now) in changed.items()]
        settings = " ".join(f"--set {key}={_show(now)}" for key, (_, now) in changed.items() if now is not None)
        raise UsageError(
            f"{file}: changed since step {state.step} was saved: {', '.join(words)}",
            f"undo the change, or start a new run: `fbmon run RECIPE {settings}`",
        )


def refuse_other_data(state: State, digest: str, dataset: str) -> None:
    """Raise UsageError where the user's own samples are not those that the steps of a state were taken with."""
    if state.data and digest and state.data != digest:
        raise UsageError(
            f"{clean(dataset, 200)}: has other samples than when step {state.step} was saved",
            "bring them back, or start a new run",
        )


def _lasting(recipe: "Recipe", step: int) -> dict[str, Any]:
    """Return the settings on which the numbers of the first steps hang; a later stretch of the schedule is none."""
    from fbmon.recipe import flatten

    settings = {key: value for key, value in flatten(recipe).items() if key.partition(".")[0] not in _FREE}
    stretches = [stretch for stretch in settings.pop(_STRETCHES, None) or [] if stretch[0] < step]
    return settings | ({_STRETCHES: stretches} if stretches else {})


def _show(value: object) -> str:
    return "not set" if value is None else clean(str(value), 60)


def set_aside(folder: Path, step: int) -> None:
    """Take a damaged checkpoint out of the way of the next one of its step; nothing is deleted."""
    damaged = path_of(folder, step)
    with suppress(OSError):
        shutil.rmtree(folder / f"damaged-{damaged.name}", ignore_errors=True)
        damaged.rename(folder / f"damaged-{damaged.name}")


def sweep(folder: Path) -> None:
    """Delete what a kill has left of checkpoints that were being written or deleted."""
    for leftover in folder.glob(".*step-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def delete(folder: Path, step: int) -> None:
    """Delete a checkpoint: first its name, so that half of one is never seen."""
    doomed = path_of(folder, step)
    with suppress(OSError):
        shutil.rmtree(doomed.rename(folder / f".gone-{doomed.name}"))


def _rename(temporary: Path, goal: Path) -> None:
    try:
        temporary.rename(goal)
    except OSError:
        # NFS asks again where an answer was lost, and is told then that there is nothing left to rename.
        if temporary.exists() or not goal.exists():
            raise


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _seal(state: State) -> bytes:
    """One JSON object whose last key is the SHA-256 of everything before it."""
    body = msgspec.json.encode(state)[:-1]
    return b'%s,"sha256":"%s"}\n' % (body, digest(body).encode())


def _unseal(text: bytes) -> State:
    seal = _SEAL.search(text)
    if not seal or seal[1].decode() != digest(text[: seal.start()]):
        raise ValueError(f"{_STATE} is damaged")
    return msgspec.json.decode(text, type=State)
