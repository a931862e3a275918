"""The work on a block: forward, backward, penalty, clipping, measures."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from fbmon.train.data.blocks import Batch
from fbmon.train.hardware.stopwatch import Part
from fbmon.train.objective.clip import clip_
from fbmon.train.objective.loss import Objective, hits
from fbmon.train.objective.regularize import Gradient, Regularizer, gradient_of

Forward = Callable[[Tensor], Tensor]  # network input (B, ...) to its output (B, ...)
Timing = Callable[[Part], AbstractContextManager[None]]  # time spent within counts as that part


def block_gradient(
    forward: Forward,
    parameters: Sequence[Tensor],
    batch: Batch,
    objective: Objective,
    learning_rate: float | Tensor,
    timing: Timing,
    regularizer: Regularizer | None = None,
    full: Gradient | None = None,
    clip_norm: float | None = None,
) -> tuple[Gradient, Tensor]:
    """Return a block's gradient, penalized and then clipped to `clip_norm`, and its measures.

    These are float64 (4,): mean loss, accuracy (0 for numbers), squared norm of the plain gradient, and whether it was
    clipped (1 or 0). The learning rate may lie on the device, () in the parameters' dtype, for a graph to read. `full`
    is the full gradient, if the regularizer needs it. The parameters are unchanged on return.
    """
    inputs, targets = batch
    with timing("gradient"):
        outputs = forward(inputs)
        loss = objective.mean(outputs, targets)
        plain = gradient = gradient_of(loss, parameters, again=bool(regularizer and regularizer.differentiates_twice))
    if regularizer:
        with timing("penalty"):
            gradient = regularizer.penalize(
                plain, lambda: objective.mean(forward(inputs), targets), parameters, full, learning_rate
            )
            plain = [part.detach() for part in plain]
    with torch.no_grad():
        accuracy = hits(outputs, targets) / targets.numel()
        square = torch.stack(torch._foreach_norm(plain)).double().square().sum()
        clipped = torch.zeros_like(square)
        if clip_norm is not None:
            clipped = (clip_(gradient, clip_norm) > clip_norm).double()
        return gradient, torch.stack([loss.double(), accuracy, square, clipped])
