"""Directions in the space of weights: random ones, normalized filter by filter, and the line to other weights."""

import torch
from torch import Tensor

from fbmon.analysis.worker.weights import Tensors

_TINY = 1e-10  # keeps a filter of zeros from dividing by zero, as in the authors' code


def random_direction(weights: Tensors, seed: int, number: int) -> Tensors:
    """Return a Gaussian direction with every filter as long as the weights' own (Li et al. 2018, arXiv 1712.09913).

    Biases and batch norm's parameters, all of one dimension, stay where they are, and so do buffers. The numbers are
    the same on every device.
    """
    generator = torch.Generator().manual_seed((seed << 24) + number)
    direction = {}
    for name, weight in weights.items():
        if weight.dim() > 1:
            drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            direction[name] = _like_filters(drawn, weight.double().cpu()).to(weight)
    return direction


def _like_filters(drawn: Tensor, weight: Tensor) -> Tensor:
    """Scale a direction to the L2 norms of the weight's filters; a filter is all that belongs to one output."""
    own_norms, norms = (torch.linalg.vector_norm(part.flatten(1), dim=1) for part in (weight, drawn))
    scaled: Tensor = drawn * (own_norms / (norms + _TINY)).view(-1, *[1] * (drawn.dim() - 1))
    return scaled


def straight_line(weights: Tensors, others: Tensors) -> Tensors:
    """Return the line from these weights to others, at 1. Running statistics move in proportion, counts do not."""
    return {name: others[name] - weight for name, weight in weights.items() if weight.is_floating_point()}


@torch.no_grad()
def move_(tensors: Tensors, weights: Tensors, directions: list[Tensors], at: tuple[float, ...]) -> None:
    """Set a network's tensors to the weights moved by `at[i]` times direction i."""
    for name, tensor in tensors.items():
        tensor.copy_(weights[name])
        for direction, reach in zip(directions, at, strict=True):
            if name in direction:
                tensor.add_(direction[name], alpha=reach)
