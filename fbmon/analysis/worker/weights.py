"""The weights of a checkpoint in their network, with the images of their run."""

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
from fbmon.run.checkpoints import path_of
from fbmon.train.data.data import DataSet, load
from fbmon.train.hardware.device import choose_device
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.models import make_model

Tensors = dict[str, Tensor]  # a network's parameters and buffers by name


@dataclass(frozen=True)
class Trained:
    """A network as its run has left it; with an average of the weights, that one, as it is what was validated."""

    recipe: Recipe
    data: DataSet
    model: nn.Module
    weights: Tensors  # a copy of what the checkpoint holds

    @property
    def device(self) -> torch.device:
        return self.data.train.labels.device


def load_trained(folder: RunFolder, step: int, device: str) -> Trained:
    """The network after a step of a run, on a device. Raises DataError where checkpoint or images are not to be had."""
    recipe = recipes.load(folder.resolved)
    model, data = bare(folder, recipe, device)
    weights = read_weights(path_of(folder.checkpoints, step), model, folder.first_name())
    model.load_state_dict(weights)
    model.eval()
    return Trained(recipe, data, model, {name: value.clone() for name, value in model.state_dict().items()})


def bare(folder: RunFolder, recipe: Recipe, device: str) -> tuple[nn.Module, DataSet]:
    """The network of a run before its first step, and its images."""
    meta = folder.read_meta()
    data_dir = folders.as_path(meta.data_dir) if meta and meta.data_dir else None
    data = load(recipe.data, data_dir, choose_device(device), lambda _: None)
    _, channels, side, _ = data.train.pictures.shape
    torch.manual_seed(recipe.seed)
    model = make_model(recipe.model, channels, data.classes, side).to(data.train.labels.device)
    set_precision_(model, recipe.precision)
    return model, data


def read_weights(path: Path, model: nn.Module, run: str = "", *, averaged: bool = True) -> Tensors:
    """The tensors of a checkpoint's folder that belong into the network, averaged if they were and that is wanted.

    Raises DataError if they do not fit it, or are not of this `run`.
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
