"""The number of floating-point operations of a step: those of convolutions and matrix products, as is usual."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fbmon.recipe import Recipe
from fbmon.recipe.data_sets import Form
from fbmon.train.data.blocks import Batch
from fbmon.train.engine.network import Network
from fbmon.train.models import is_own
from fbmon.train.models.foreign import zeros
from fbmon.train.objective.regularize import Regularizer, forward_passes, make_regularizer
from fbmon.train.sharpness.hessian import Hessian

_SAMPLES = 2  # counted together: batch norm needs more than one


def count_step(model: nn.Module, form: Form, recipe: Recipe, blocks: int) -> float:
    """Return the FLOP of a sample in a step of `blocks` blocks, penalty included."""
    regularizer = make_regularizer(recipe.penalty)
    once = count(model, form, regularizer)
    together = blocks if recipe.gradient.update == "full" else 1
    needs_plain = regularizer is not None and regularizer.needs_full_gradient(together)
    return once + count(model, form, None) if needs_plain else once


def count(model: nn.Module, form: Form, regularizer: Regularizer | None) -> float:
    """Return the FLOP of a sample in a pass over all blocks."""
    if (regularizer and regularizer.differentiates_twice) or not is_own(model):
        return _count_by_dispatch(model, form, regularizer)
    layers = _layers(model, form)
    # Backward asks every layer for the gradient of its weights, and all but the first for that of its input.
    return forward_passes(regularizer) * (3 * sum(layers) - layers[0])


def count_forward(model: nn.Module, form: Form) -> float:
    """Return the FLOP of a sample in a validation."""
    if is_own(model):
        return sum(_layers(model, form))

    def forward(network: nn.Module, batch: Batch) -> None:
        with torch.no_grad():
            network.eval()(batch[0])

    return _count_by_torch(model, form, forward)


def count_product(model: nn.Module, form: Form) -> float:
    """Return the FLOP of a sample in a product of the Hessian and a vector."""

    def multiply(network: nn.Module, batch: Batch) -> None:
        parameters = list(network.parameters())
        hessian = Hessian(lambda _: _Square().mean(network(batch[0]), batch[1]), parameters, [_SAMPLES])
        hessian.product(torch.cat([parameter.detach().flatten() for parameter in parameters]))

    return _count_by_torch(model, form, multiply)


@torch.no_grad()
def _layers(model: nn.Module, form: Form) -> list[float]:
    """Return the FLOP of every layer for one image, in the order of the forward pass; takes some milliseconds."""
    flop: list[float] = []

    def note(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        flop.append(2.0 * weight[0].numel() * output.numel())  # each output is a product with one row of weights

    hooks = [
        module.register_forward_hook(note) for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training, like = model.training, next(model.parameters())
    model.eval()(like.new_zeros(1, *form.shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return flop


def _count_by_dispatch(model: nn.Module, form: Form, regularizer: Regularizer | None) -> float:
    """Count a pass by torch's own counter, as what has no simple rule, in a second or more."""

    def compute(network: nn.Module, batch: Batch) -> None:
        Network(network, lambda *_: batch, _Square()).block(batch[1], 1, 0.1, lambda: None, regularizer)

    return _count_by_torch(model, form, compute)


class _Square:
    """A loss of any output, whose own cost is not counted: it has no matrix product."""

    def mean(self, outputs: Tensor, _targets: Tensor) -> Tensor:
        return outputs.square().mean()

    total = mean


def _count_by_torch(model: nn.Module, form: Form, compute: Callable[[nn.Module, Batch], None]) -> float:
    """Return the FLOP of a sample in what is computed, counted on tensors without memory.

    Another's network may need real ones, as it makes tensors of its own; it is computed once for that.
    """
    from torch.utils.flop_counter import FlopCounterMode

    for device in (torch.device("meta"), torch.device("cpu")):
        network, batch = _copy(model, form, device)
        with FlopCounterMode(display=False) as counter:
            try:
                compute(network, batch)
            except (RuntimeError, NotImplementedError):
                if device.type == "cpu":
                    raise
                continue
        return float(counter.get_total_flops()) / _SAMPLES
    raise AssertionError


def _copy(model: nn.Module, form: Form, device: torch.device) -> tuple[nn.Module, Batch]:
    """Return a copy of a network in training mode, and a batch; on the meta device both are shapes without numbers."""
    targets = torch.zeros(_SAMPLES, device=device)
    return copy.deepcopy(model).float().to(device).train(), (zeros(form, _SAMPLES, device), targets)
