"""What a step computes: multiplications and additions of its convolutions and matrix products, told from their shapes.

torch's own counter says the same (pinned by a test), but takes a second to begin, which no run should wait for.
"""

from math import prod

import torch
from torch import Tensor, nn

from fbmon.recipe import Recipe
from fbmon.train.regularize import forward_passes


def flop_per_image(recipe: Recipe, model: nn.Module, picture: Tensor, blocks: int) -> float | None:
    """FLOP that a step of `blocks` blocks takes for one image like `picture` uint8 (C, H, W), penalty included.

    Without validation and analysis. None for the penalty "autograd", whose double backward has no such simple sum.
    """
    if recipe.penalty and recipe.penalty.method == "autograd":
        return None
    told = _forward(model, picture)
    one_pass = 3 * sum(told) - told[0]  # backward takes as much for the weights, and for all inputs but the image
    passes = forward_passes(recipe.penalty)
    if recipe.penalty and recipe.penalty.acc_strength and blocks > 1:
        passes += 1  # over all blocks, for the full gradient
    return one_pass * passes


def _forward(model: nn.Module, picture: Tensor) -> list[float]:
    """FLOP of each layer for one image, in the order of the forward pass; the model stays as it is."""
    told: list[float] = []

    def note(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            told.append(2.0 * prod(output.shape[1:]) * prod(layer.weight.shape[1:]))

    hooks = [layer.register_forward_hook(note) for layer in model.modules()]
    was_training = model.training
    like = next(model.parameters())
    with torch.no_grad():
        model.eval()(torch.zeros(1, *picture.shape, dtype=like.dtype, device=like.device))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return told
