"""Penalties added to a block's gradient."""

from collections.abc import Callable, Sequence
from typing import assert_never

import torch
from torch import Tensor

from fbmon.recipe import Penalty

Gradients = list[Tensor]


def penalize(
    gradient: Gradients,
    again: Callable[[], Gradients],
    parameters: Sequence[Tensor],
    learning_rate: float,
    penalty: Penalty,
) -> Gradients:
    """The block's gradient with the gradient-norm penalty in it; `again` computes it at the present parameters."""
    match penalty.method:
        case "forward":
            return _forward_differences(gradient, again, parameters, learning_rate, penalty)
        case _:
            assert_never(penalty.method)


def _forward_differences(
    gradient: Gradients,
    again: Callable[[], Gradients],
    parameters: Sequence[Tensor],
    learning_rate: float,
    penalty: Penalty,
) -> Gradients:
    """g + (τ/4) (g' - g)/h with g' the gradient at θ + h v, v = α g and h = ε/‖v‖, which is about g + (ατ/4) H g.

    So the weights move by exactly ε along g, whatever α is. α is the strength, τ the learning rate of this step. The
    theory (Smith et al. 2021, arXiv 2101.12176) asks for τ/4 ‖g‖², whose gradient is (τ/2) H g; the authors' code adds
    half of that, and so does this, because their published numbers rest on it (paper, section 4 and its code).
    """
    direction = torch._foreach_mul(gradient, penalty.strength)
    length = torch.stack(torch._foreach_norm(direction)).norm()
    # A gradient of zero has no direction: the difference is then zero too, and must not become 0/0.
    spread = penalty.epsilon / length.clamp_min(torch.finfo(length.dtype).tiny)
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        torch._foreach_add_(list(parameters), torch._foreach_mul(direction, spread))
    shifted = again()
    with torch.no_grad():
        torch._foreach_copy_(list(parameters), before)
    difference = torch._foreach_sub(shifted, gradient)
    torch._foreach_mul_(difference, learning_rate / 4 / spread)
    return list(torch._foreach_add(gradient, difference))
