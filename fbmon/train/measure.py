"""The measures of a step, brought from the device to the host in one copy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from fbmon.recipe import Recipe
from fbmon.train.gradient import FullGradient
from fbmon.train.objective.regularize import Regularizer


@dataclass(frozen=True)
class Measures:
    """The measures of an update, or their mean over the updates of a pass. Sums over blocks are exact in any order."""

    loss: float
    accuracy: float
    grad_norm: float  # of the mean gradient, penalty included, before clipping
    block_square: float  # mean squared norm of the plain block gradients
    acc_square: float  # squared norm of the plain full gradient, where it is known; else 0
    param_norm: float  # before the update
    decayed_norm: float  # of the parameters that weight decay acts on
    clipped_blocks: float  # the share of blocks whose own gradient was clipped
    is_good: float  # whether the mean was what it promised
    images: int
    block_norms: tuple[float, ...]  # of the plain block gradients

    def not_finite(self) -> list[str]:
        """Return the names of the measures that are infinite or not a number."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "block_norms"}
        return [name for name, value in numbers.items() if not math.isfinite(value)]


def look(
    full: FullGradient,
    grad_norm: Tensor,
    acc: Sequence[Tensor] | None,
    parameters: Sequence[nn.Parameter],
    decayed: Sequence[nn.Parameter],
    images: Sequence[int],
) -> Measures:
    """Return the measures of an update that is about to be made: the only full sync of the step.

    `acc` is the plain full gradient, if it was computed; `images` are the numbers of images of the blocks.
    """
    scalars = [grad_norm, norm_of(acc or [grad_norm.new_zeros(1)]), norm_of(parameters), norm_of(decayed), full.is_good]
    values = torch.cat([torch.stack([scalar.double() for scalar in scalars]), full.rows.reshape(-1)]).tolist()
    grad, accumulated, param, decay, is_good, *rows = values
    losses, accuracies, squares, clipped = rows[0::4], rows[1::4], rows[2::4], rows[3::4]
    return Measures(
        loss=_mean(losses, images),
        accuracy=_mean(accuracies, images),
        grad_norm=grad,
        block_square=_mean(squares, images),
        acc_square=accumulated**2 if len(images) > 1 else squares[0],  # a single block's gradient is the full one
        param_norm=param,
        decayed_norm=decay,
        clipped_blocks=_mean(clipped, [1] * len(clipped)),
        is_good=is_good,
        images=sum(images),
        block_norms=tuple(math.sqrt(square) for square in squares),
    )


@torch.no_grad()
def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm over all entries of one or more tensors, as a float64 scalar."""
    norm: Tensor = torch.stack(torch._foreach_norm(list(tensors))).double().norm()
    return norm


def combine(updates: Sequence[Measures]) -> Measures:
    """Return the measures of a pass of several updates, weighted by images; norms as their root mean square."""
    if len(updates) == 1:
        return updates[0]
    images = [update.images for update in updates]
    return Measures(
        loss=_mean([update.loss for update in updates], images),
        accuracy=_mean([update.accuracy for update in updates], images),
        grad_norm=math.sqrt(_mean([update.grad_norm**2 for update in updates], images)),
        block_square=_mean([update.block_square for update in updates], images),
        acc_square=_mean([update.acc_square for update in updates], images),
        param_norm=updates[-1].param_norm,
        decayed_norm=updates[-1].decayed_norm,
        clipped_blocks=_mean([update.clipped_blocks for update in updates], [1] * len(updates)),
        is_good=1.0,
        images=sum(images),
        block_norms=tuple(norm for update in updates for norm in update.block_norms),
    )


def decay_loss(measures: Measures, recipe: Recipe) -> float:
    """Return weight decay as part of the loss: ½ λ ‖θ‖² over the parameters that it acts on."""
    return recipe.optimizer.weight_decay / 2 * measures.decayed_norm**2


def added_loss(measures: Measures, regularizer: Regularizer | None, learning_rate: float) -> float:
    """Return the penalty as part of the loss."""
    return regularizer.loss(learning_rate, measures.block_square, measures.acc_square) if regularizer else 0.0


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    """Return the weighted mean, its sum rounded once; NaN if a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
