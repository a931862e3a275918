"""The number of floating-point operations of a step: those of convolutions and matrix products, as is usual."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fbmon.recipe import Recipe
from fbmon.train.data.blocks import Batch
from fbmon.train.engine.network import Network
from fbmon.train.models import is_own
from fbmon.train.objective.regularize import Regularizer, forward_passes, make_regularizer
from fbmon.train.sharpness.hessian import Hessian

_IMAGES = 2  # counted together: batch norm needs more than one


def count_step(model: nn.Module, shape: torch.Size, recipe: Recipe, blocks: int) -> float:
    """Return the FLOP of an image (C, H, W) in a step of `blocks` blocks, penalty included."""
    regularizer = make_regularizer(recipe.penalty)
    once = count(model, shape, regularizer)
    together = blocks if recipe.gradient.update == "full" else 1
    needs_plain = regularizer is not None and regularizer.needs_full_gradient(together)
    return once + count(model, shape, None) if needs_plain else once


def count(model: nn.Module, shape: torch.Size, regularizer: Regularizer | None) -> float:
    """Return the FLOP of an image in a pass over all blocks."""
    if (regularizer and regularizer.differentiates_twice) or not is_own(model):
        return _count_by_dispatch(model, shape, regularizer)
    layers = _layers(model, shape)
    # Backward asks every layer for the gradient of its weights, and all but the first for that of its input.
    return forward_passes(regularizer) * (3 * sum(layers) - layers[0])


def count_forward(model: nn.Module, shape: torch.Size) -> float:
    """Return the FLOP of an image in a validation."""
    if is_own(model):
        return sum(_layers(model, shape))

    def forward(network: nn.Module, batch: Batch) -> None:
        with torch.no_grad():
            network.eval()(batch[0])

    return _count_by_torch(model, shape, forward)


def count_product(model: nn.Module, shape: torch.Size) -> float:
    """Return the FLOP of an image in a product of the Hessian and a vector."""

    def multiply(network: nn.Module, batch: Batch) -> None:
        inputs, labels = batch
        parameters = list(network.parameters())
        hessian = Hessian(lambda _: cross_entropy(network(inputs), labels), parameters, [_IMAGES])
        hessian.product(torch.cat([parameter.detach().flatten() for parameter in parameters]))

    return _count_by_torch(model, shape, multiply)


@torch.no_grad()
def _layers(model: nn.Module, shape: torch.Size) -> list[float]:
    """Return the FLOP of every layer for one image, in the order of the forward pass; takes some milliseconds."""
    flop: list[float] = []

    def note(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        flop.append(2.0 * weight[0].numel() * output.numel())  # each output is a product with one row of weights

    hooks = [
        module.register_forward_hook(note) for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training, like = model.training, next(model.parameters())
    model.eval()(like.new_zeros(1, *shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return flop


def _count_by_dispatch(model: nn.Module, shape: torch.Size, regularizer: Regularizer | None) -> float:
    """Count a pass by torch's own counter, as what has no simple rule, in a second or more."""

    def compute(network: nn.Module, batch: Batch) -> None:
        Network(network, lambda *_: batch, cross_entropy).block(batch[1], 1, 0.1, lambda: None, regularizer)

    return _count_by_torch(model, shape, compute)


def _count_by_torch(model: nn.Module, shape: torch.Size, compute: Callable[[nn.Module, Batch], None]) -> float:
    """Return the FLOP of an image in what is computed, counted on tensors without memory.

    Another's network may need real ones, as it makes tensors of its own; it is computed once for that.
    """
    from torch.utils.flop_counter import FlopCounterMode

    for device in (torch.device("meta"), torch.device("cpu")):
        network, batch = _copy(model, shape, device)
        with FlopCounterMode(display=False) as counter:
            try:
                compute(network, batch)
            except (RuntimeError, NotImplementedError):
                if device.type == "cpu":
                    raise
                continue
        return float(counter.get_total_flops()) / _IMAGES
    raise AssertionError


def _copy(model: nn.Module, shape: torch.Size, device: torch.device) -> tuple[nn.Module, Batch]:
    """Return a copy of a network in training mode, and a batch; on the meta device both are shapes without numbers."""
    batch = torch.zeros(_IMAGES, *shape, device=device), torch.zeros(_IMAGES, dtype=torch.int64, device=device)
    return copy.deepcopy(model).float().to(device).train(), batch
