"""Checkpoints on disk: tensors as safetensors, all else as JSON, both under checksums; written aside, then renamed."""

import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from fbmon.checkpoints import path_of
from fbmon.errors import DataError

_TENSORS = "tensors.safetensors"
_STATE = "state.json"
_SEAL = re.compile(rb',"sha256":"([0-9a-f]{64})"}\n\Z')


class State(msgspec.Struct, frozen=True):
    """What a run goes on from besides tensors; random numbers are functions of (seed, step, image), so need none."""

    step: int  # updates done
    torch: str  # its version
    threads: int  # of the CPU; another number of them has other last bits
    tensors: str = ""  # the SHA-256 of their file; `save` fills it in
    validated: int = 0  # the last step whose validation has been told; 0: none
    best_step: int = 0  # that of the highest validation accuracy
    best_accuracy: float | None = None
    start_loss: float | None = None  # of the first step
    above: int = 0  # steps in a row whose loss was far above it


def save(folder: Path, state: State, tensors: bytes) -> Path:
    """Write a checkpoint to folder/step-00000042 and return that path. Raises OSError, all then being as before.

    At any moment, also after a kill or a power cut, either the whole checkpoint is there or none of it.
    """
    goal = path_of(folder, state.step)
    if goal.exists():  # the same step has the same state
        return goal
    folder.mkdir(mode=0o700, exist_ok=True)
    temporary = folder / f".{goal.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(mode=0o700)
        _write(temporary / _TENSORS, tensors)
        _write(temporary / _STATE, _seal(msgspec.structs.replace(state, tensors=digest(tensors))))
        _sync(temporary)
        temporary.rename(goal)
        _sync(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return goal


def read(checkpoint: Path) -> tuple[State, bytes]:
    """A checkpoint's state and the content of its tensor file. Raises DataError if either is not as it was written."""
    try:
        state = _unseal((checkpoint / _STATE).read_bytes())
        tensors = (checkpoint / _TENSORS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{checkpoint}: not a readable checkpoint: {error}") from None
    if digest(tensors) != state.tensors:
        raise DataError(f"{checkpoint}: {_TENSORS} is damaged: its checksum is not the one in {_STATE}")
    return state, tensors


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


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _seal(state: State) -> bytes:
    """One JSON object whose last key is the SHA-256 of everything before it."""
    body = msgspec.json.encode(state)[:-1]
    return b'%s,"sha256":"%s"}\n' % (body, digest(body).encode())


def _unseal(text: bytes) -> State:
    found = _SEAL.search(text)
    if not found or found[1].decode() != digest(text[: found.start()]):
        raise ValueError(f"{_STATE} is damaged")
    return msgspec.json.decode(text, type=State)


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
