"""Penalties added to a block's gradient, and sharpness-aware minimization, which replaces it.

The methods of the gradient norm's penalty add (τ/4) H v to it, with v = α g + β G; τ is the learning rate of the step,
g and H are the block's gradient and Hessian, α is `strength`; G is the full gradient and β is `acc_strength`. Averaged
over the blocks that descends (τ/8) α mean ‖g‖² + (τ/8) β ‖G‖². The theory (Smith et al. 2021, arXiv 2101.12176) asks
for twice as much, τ/4 with α = 1; the authors' code adds half of it, and so does this, because their published numbers
rest on it: with their α = 0.5 a quarter of the theory's correction.

Finite differences take H v from gradients at weights shifted by h v, where h makes the shift exactly ε long, whatever
α is: in the L2 norm over all parameters, as in the authors' code, or in that of the largest entry. At the paper's
ε = 0.01 a network with ReLUs is not smooth, and what they measure is not the Hessian's product but a gradient's change
over a finite step, which works better (Karakida et al. 2023, arXiv 2210.02720).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

import torch
from torch import Tensor

from fbmon.recipe import Penalty, Sam

Gradient = list[Tensor]
Loss = Callable[[], Tensor]


class Regularizer(Protocol):
    """The interface of a penalty: what it adds to a block's gradient and to the loss, and what that takes."""

    @property
    def passes(self) -> int:
        """The forward passes of a block for its penalized gradient, the plain one included.


        Each has a backward pass too, except for a gradient that is differentiated twice. `Network.block` counts them.
        """

    @property
    def differentiates_twice(self) -> bool:
        """Say whether the plain gradient must itself be differentiable."""

    def needs_full_gradient(self, blocks: int) -> bool:
        """Say whether an update by `blocks` blocks begins with a plain pass over them, for the full gradient."""

    def penalize(
        self,
        gradient: Gradient,
        again: Loss,
        parameters: Sequence[Tensor],
        full: Gradient | None,
        learning_rate: float | Tensor,
    ) -> Gradient:
        """Return a block's gradient with the penalty.

        `gradient` is the one without it, to be differentiated if it `differentiates_twice`. `again` computes the
        block's loss anew at the present weights, which are the same to the last bit afterwards. `full` is the full
        gradient, if it was needed; without it the block is all there is, and its own gradient the full one.
        """

    def loss(self, learning_rate: float, block_square: float, acc_square: float) -> float:
        """Return the penalty's part of the full loss.

        `block_square` is the mean squared norm of the plain block gradients, `acc_square` that of the full gradient.
        """


def make_regularizer(section: Penalty | Sam | None) -> Regularizer | None:
    """Make the regularizer that a recipe names; None if it names none."""
    match section:
        case None:
            return None
        case Penalty():
            return GradientNorm(section)
        case Sam():
            return SharpnessAware(section)
        case _:
            assert_never(section)


def forward_passes(regularizer: Regularizer | None) -> int:
    """Return the number of forward passes of a block for its gradient."""
    return regularizer.passes if regularizer else 1


def gradient_of(loss: Tensor, parameters: Sequence[Tensor], *, again: bool = False) -> Gradient:
    """Return the gradient of a scalar loss, like the parameters; `again` makes it differentiable itself."""
    # A parameter that the loss does not depend on, as another's network may have, has a gradient of zero.
    return list(torch.autograd.grad(loss, parameters, create_graph=again, materialize_grads=True))


@dataclass(frozen=True)
class GradientNorm:
    """The penalty on the gradient norms of the blocks and of the full gradient (paper, section 4)."""

    section: Penalty

    @property
    def passes(self) -> int:
        match self.section.method:
            case "autograd":
                return 1
            case "forward":
                return 2
            case "central":
                return 3
            case _:
                assert_never(self.section.method)

    @property
    def differentiates_twice(self) -> bool:
        return self.section.method == "autograd"

    def needs_full_gradient(self, blocks: int) -> bool:
        return self.section.acc_strength > 0 and blocks > 1  # the gradient of a single block is the full one

    def penalize(
        self,
        gradient: Gradient,
        again: Loss,
        parameters: Sequence[Tensor],
        full: Gradient | None,
        learning_rate: float | Tensor,
    ) -> Gradient:
        """Return the gradient plus (τ/4) H v; batch norm sees every forward pass, as in the authors' code."""
        section = self.section
        plain = [part.detach() for part in gradient]
        direction = _direction(plain, full, section)
        if section.method == "autograd":
            product = torch.autograd.grad(gradient, parameters, grad_outputs=direction, materialize_grads=True)
            return _add(plain, product, learning_rate / 4)
        reach = _reach(section.epsilon, direction, 2.0 if section.epsilon_norm == "l2" else torch.inf)
        match section.method:
            case "forward":  # (g(θ + h v) - g(θ)) / h
                ahead, behind = _shifted(again, parameters, direction, reach), plain
            case "central":  # (g(θ + h v/2) - g(θ - h v/2)) / h
                ahead = _shifted(again, parameters, direction, reach / 2)
                behind = _shifted(again, parameters, direction, -reach / 2)
            case _:
                assert_never(section.method)
        difference = [after - before for after, before in zip(ahead, behind, strict=True)]
        return _add(plain, difference, reach.reciprocal() * (learning_rate / 4))

    def loss(self, learning_rate: float, block_square: float, acc_square: float) -> float:
        """Return (τ/4) (α mean ‖g‖² + β ‖G‖²), as the authors' code adds it to the full loss."""
        return learning_rate / 4 * (self.section.strength * block_square + self.section.acc_strength * acc_square)


@dataclass(frozen=True)
class SharpnessAware:
    """The gradient at θ + ρ g/‖g‖ (Foret et al. 2021, arXiv 2010.01412, equation 3), g a block's gradient or all's.

    Batch norm sees every forward pass, as with the gradient norm's penalty.
    """

    section: Sam
    passes = 2
    differentiates_twice = False

    def needs_full_gradient(self, blocks: int) -> bool:
        return self.section.ascent == "full" and blocks > 1  # the gradient of a single block is the full one

    def penalize(
        self,
        gradient: Gradient,
        again: Loss,
        parameters: Sequence[Tensor],
        full: Gradient | None,
        learning_rate: float | Tensor,
    ) -> Gradient:
        direction = gradient if full is None else full
        return _shifted(again, parameters, direction, _reach(self.section.rho, direction))

    def loss(self, learning_rate: float, block_square: float, acc_square: float) -> float:
        """Return what the loss rises along the way, to first order: ρ ‖g‖, of blocks with their mean square."""
        return self.section.rho * math.sqrt(acc_square if self.section.ascent == "full" else block_square)


def _reach(length: float, direction: Gradient, order: float = 2.0) -> Tensor:
    """Return what a direction is multiplied with to be so long."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(direction, ord=order)), ord=order)
    # A gradient of zero has no direction: the difference is then zero too, and must not become 0/0.
    reach: Tensor = length / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    return reach


def _direction(plain: Gradient, full: Gradient | None, section: Penalty) -> Gradient:
    """Return α g + β G."""
    if full is None:
        return list(torch._foreach_mul(plain, section.strength + section.acc_strength))
    return list(torch._foreach_add(torch._foreach_mul(plain, section.strength), full, alpha=section.acc_strength))


def _shifted(again: Loss, parameters: Sequence[Tensor], direction: Gradient, reach: Tensor) -> Gradient:
    """Return the gradient at the weights moved by `reach` times `direction`; put the weights back."""
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        torch._foreach_add_(list(parameters), torch._foreach_mul(direction, reach))
    gradient = gradient_of(again(), parameters)
    with torch.no_grad():
        torch._foreach_copy_(list(parameters), before)
    return gradient


def _add(plain: Gradient, other: Sequence[Tensor], factor: Tensor | float) -> Gradient:
    return list(torch._foreach_add(plain, torch._foreach_mul(list(other), factor)))
