"""Penalties added to a block's gradient.

All three descend (τ/8) α ‖g‖², whose gradient is (τα/4) H g, with τ the learning rate of the step, α the strength, g
and H the block's gradient and Hessian. The theory (Smith et al. 2021, arXiv 2101.12176) asks for twice as much,
(τ/4) α ‖g‖²; the authors' code adds half of it, and so does this, because their published numbers rest on it. Finite
differences take H g from gradients at shifted weights; at the shift of 0.01 that the paper uses, a network with ReLUs
is not smooth, and what they measure is not the Hessian's product but a gradient's change over a finite step, which
works better (Karakida et al. 2023, arXiv 2210.02720).
"""

from collections.abc import Callable, Sequence
from typing import assert_never

import torch
from torch import Tensor

from fbmon.recipe import Penalty

Gradient = list[Tensor]
Loss = Callable[[], Tensor]


def gradient_of(loss: Tensor, parameters: Sequence[Tensor]) -> Gradient:
    """The gradient of a scalar loss, like the parameters."""
    return list(torch.autograd.grad(loss, parameters))


def penalize(
    loss: Tensor, again: Loss, parameters: Sequence[Tensor], learning_rate: float, penalty: Penalty
) -> tuple[Gradient, Gradient]:
    """A block's gradient without and with the penalty.

    `loss` is the block's, its graph still alive; `again` computes it anew, forward, at the present weights, which are
    the same to the last bit afterwards. Batch norm sees every forward pass, as in the authors' code.
    """
    if penalty.method == "autograd":
        plain, product = _hessian_product(loss, parameters)
        return plain, _add(plain, product, learning_rate / 4 * penalty.strength)
    plain = gradient_of(loss, parameters)
    direction = list(torch._foreach_mul(plain, penalty.strength))
    length = torch.stack(torch._foreach_norm(direction)).norm()
    # A gradient of zero has no direction: the difference is then zero too, and must not become 0/0.
    reach = penalty.epsilon / length.clamp_min(torch.finfo(length.dtype).tiny)
    match penalty.method:
        case "forward":  # (g(θ + h v) - g(θ)) / h with v = α g and h = ε/‖v‖: the weights move by exactly ε along g
            ahead, behind = _shifted(again, parameters, direction, reach), plain
        case "central":  # (g(θ + h v/2) - g(θ - h v/2)) / h
            ahead = _shifted(again, parameters, direction, reach / 2)
            behind = _shifted(again, parameters, direction, -reach / 2)
        case _:
            assert_never(penalty.method)
    difference = [after - before for after, before in zip(ahead, behind, strict=True)]
    return plain, _add(plain, difference, learning_rate / 4 / reach)


def _shifted(again: Loss, parameters: Sequence[Tensor], direction: Gradient, reach: Tensor) -> Gradient:
    """The gradient at the weights moved by `reach` times `direction`; the weights are put back."""
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        torch._foreach_add_(list(parameters), torch._foreach_mul(direction, reach))
    gradient = gradient_of(again(), parameters)
    with torch.no_grad():
        torch._foreach_copy_(list(parameters), before)
    return gradient


def _hessian_product(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Gradient, Gradient]:
    """The gradient g and H g, by double backward."""
    graph = torch.autograd.grad(loss, parameters, create_graph=True)
    plain = [part.detach() for part in graph]
    return plain, list(torch.autograd.grad(graph, parameters, grad_outputs=plain))


def _add(plain: Gradient, other: Gradient, factor: Tensor | float) -> Gradient:
    return list(torch._foreach_add(plain, torch._foreach_mul(other, factor)))
