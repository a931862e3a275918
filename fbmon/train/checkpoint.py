"""Checkpoints: weights and optimizer as safetensors, everything else as JSON; written aside, then renamed."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fbmon.errors import DataError

_TENSORS = "tensors.safetensors"
_STATE = "state.json"


@dataclass(frozen=True)
class State:
    """What a checkpoint restores besides tensors; random numbers are functions of (seed, step, image), so need none."""

    step: int  # updates done


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Path:
    """Write the state after `step` updates to folder/step-00000042 and return that path.

    At any moment, also after a kill or a power cut, either the whole checkpoint is there or none of it.
    """
    goal = folder / f"step-{step:08d}"
    if goal.exists():  # the same step has the same state
        return goal
    folder.mkdir(mode=0o700, exist_ok=True)
    temporary = folder / f".{goal.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    save_file(_tensors(model, optimizer), temporary / _TENSORS)
    state = {"step": step, "sha256": _sha256(temporary / _TENSORS), "torch": torch.__version__}
    (temporary / _STATE).write_text(json.dumps(state, indent=2) + "\n")
    for file in (temporary / _TENSORS, temporary / _STATE, temporary):
        _sync(file)
    temporary.rename(goal)
    _sync(folder)
    return goal


def load_(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Put a checkpoint's tensors into model and optimizer. Raises DataError if it is damaged or of another model."""
    try:
        state = json.loads((checkpoint / _STATE).read_text())
        if _sha256(checkpoint / _TENSORS) != state["sha256"]:
            raise DataError(f"{checkpoint}: {_TENSORS} is damaged: its checksum is not the one in {_STATE}")
        tensors = load_file(checkpoint / _TENSORS)
        restored = State(state["step"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{checkpoint}: not a readable checkpoint: {error}") from None
    try:
        model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    except RuntimeError:
        raise DataError(f"{checkpoint}: the checkpoint of another model") from None
    for name, parameter in model.named_parameters():
        momentum = tensors.get(f"momentum.{name}")
        if momentum is not None:
            optimizer.state[parameter]["momentum_buffer"] = momentum.to(parameter.device)
    return restored


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{name}"] = momentum
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
