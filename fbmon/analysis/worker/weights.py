"""The weights of a checkpoint in their network, with the data of the run."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.errors import DataError
from fbmon.recipe import Recipe
from fbmon.run import RunFolder, checkpoint
from fbmon.run.checkpoints import path_of, steps
from fbmon.train.checkpoint.tensors import load_weights_
from fbmon.train.data.data import DataSet
from fbmon.train.data.load import load, refuse_misfits
from fbmon.train.hardware.device import choose_device
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.models import make_model

Tensors = dict[str, Tensor]  # a network's parameters and buffers by name


@dataclass(frozen=True)
class Trained:
    """A network as its run left it, with the averaged weights if the run kept an average, as those were validated."""

    recipe: Recipe
    data: DataSet
    model: nn.Module
    weights: Tensors  # a copy of the state that was loaded

    @property
    def device(self) -> torch.device:
        return self.data.device


def load_trained(folder: RunFolder, step: int, device: str) -> Trained:
    """Load the network after a step of a run. Raises DataError if checkpoint or data are not available."""
    recipe = recipes.load(folder.resolved)
    model, data = bare(folder, recipe, device)
    weights = read_weights(path_of(folder.checkpoints, step), model, folder.first_name())
    model.load_state_dict(weights)
    model.eval()
    return Trained(recipe, data, model, {name: value.clone() for name, value in model.state_dict().items()})


def bare(folder: RunFolder, recipe: Recipe, device: str) -> tuple[nn.Module, DataSet]:
    """Make the network of a run as before its first step, and load its data."""
    meta = folder.read_meta()
    data_dir = folders.as_path(meta.data_dir) if meta and meta.data_dir else None
    data = load(recipe.data, data_dir, choose_device(device), lambda _: None)
    refuse_misfits(recipe, data)
    _refuse_other_data(folder, recipe, data)
    torch.manual_seed(recipe.seed)
    model = make_model(recipe.model, data.form).to(data.device)
    if meta and meta.origin:
        load_weights_(model, folders.read_origin(folder, meta.origin))
    set_precision_(model, recipe.precision)
    return model, data


def _refuse_other_data(folder: RunFolder, recipe: Recipe, data: DataSet) -> None:
    """Raise UsageError for samples of the user's own that are not those that the run has a checkpoint of."""
    with suppress(DataError):  # of a checkpoint that is damaged
        for step in steps(folder.checkpoints)[-1:] if data.digest else []:
            state = checkpoint.read_state(path_of(folder.checkpoints, step), folder.first_name())
            checkpoint.refuse_other_data(state, data.digest, recipe.data.dataset)


def read_weights(path: Path, model: nn.Module, run: str = "", *, averaged: bool = True) -> Tensors:
    """Return the network's tensors from a checkpoint's folder, the averaged ones if they exist and are asked for.

    Raises DataError if they do not fit the network, or are not of this `run`.
    """
    _, content = checkpoint.read(path, run)
    tensors = safetensors.torch.load(content)
    has_average = any(name.startswith("average.") for name in tensors)
    prefix = "average." if averaged and has_average else "model."
    weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    own = {name: value.shape for name, value in model.state_dict().items()}
    if own != {name: value.shape for name, value in weights.items()}:
        raise DataError(f"{path}: the checkpoint of another network")
    return {name: value.to(next(model.parameters()).device) for name, value in weights.items()}
