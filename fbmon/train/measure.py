"""What a step tells of itself, brought from the device to the host in one copy."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from fbmon.recipe import Recipe
from fbmon.train.gradient import FullGradient


@dataclass(frozen=True)
class Measures:
    """One update's, or the mean over the updates of a pass."""

    loss: float
    accuracy: float
    grad_norm: float  # of the mean gradient, penalty included, before clipping
    block_square: float  # mean squared norm of the plain block gradients
    param_norm: float  # before the update
    is_good: float  # whether the mean was what it promised
    images: int

    def not_finite(self) -> list[str]:
        """The names of those that are infinite or not a number."""
        return [name for name, value in asdict(self).items() if not math.isfinite(value)]


def look(model: nn.Module, full: FullGradient, norm: Tensor) -> Measures:
    """The measures of an update that is about to be made: the one full sync of the step."""
    told = (full.loss, full.accuracy, norm.double(), full.block_square, weight_norm(model), full.is_good)
    loss, accuracy, grad_norm, block_square, param_norm, is_good = torch.stack(told).tolist()
    return Measures(loss, accuracy, grad_norm, block_square, param_norm, is_good, full.images)


@torch.no_grad()
def weight_norm(model: nn.Module) -> Tensor:
    """The L2 norm of all parameters, as a float64 scalar."""
    norm: Tensor = torch.stack(torch._foreach_norm(list(model.parameters()))).double().norm()
    return norm


def combine(told: Sequence[Measures]) -> Measures:
    """The measures of a pass of several updates, weighted by images; norms by their root mean square."""
    if len(told) == 1:
        return told[0]
    images = sum(one.images for one in told)

    def mean(values: Sequence[float]) -> float:
        return math.fsum(value * one.images / images for value, one in zip(values, told, strict=True))

    return Measures(
        loss=mean([one.loss for one in told]),
        accuracy=mean([one.accuracy for one in told]),
        grad_norm=math.sqrt(mean([one.grad_norm**2 for one in told])),
        block_square=mean([one.block_square for one in told]),
        param_norm=told[-1].param_norm,
        is_good=1.0,
        images=images,
    )


def full_loss(measures: Measures, recipe: Recipe, rate: float) -> float:
    """Loss, weight decay and penalty together: L + ½ λ ‖θ‖² + (τα/4) mean ‖g‖² (paper's code, statistics)."""
    decay = recipe.optimizer.weight_decay / 2 * measures.param_norm**2
    penalty = rate * recipe.penalty.strength / 4 * measures.block_square if recipe.penalty else 0.0
    return measures.loss + decay + penalty
