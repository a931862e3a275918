"""The norm of the gradient, and its scaling down to a threshold."""

import torch
from torch import Tensor


def clip_(gradient: list[Tensor], threshold: float | None) -> Tensor:
    """Scale the gradient in place to L2 norm `threshold` if it is longer; return its norm before, without a host sync.

    A norm n > c is scaled by c / (n + 1e-6), as torch.nn.utils.clip_grad_norm_ does, which the paper's code uses.
    """
    norm: Tensor = torch.stack(torch._foreach_norm(gradient)).norm()
    if threshold is not None:
        scale = torch.where(norm > threshold, threshold / (norm + 1e-6), torch.ones_like(norm))
        torch._foreach_mul_(gradient, scale)
    return norm
