"""The operation for which torch has no kernel of its own: rounding terms to a unit and adding them, in one go.

Done operation by operation it takes five passes over float64; on a GPU, where a block of 32 images is to take half a
millisecond, they would cost a good part of that.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from fbmon.host.disk import log

AddRounded = Callable[[Tensor, Tensor, Tensor, Tensor], None]


def add_rounded_(total: Tensor, terms: Tensor, magic: Tensor, weight: float | Tensor) -> None:
    """Add weight * terms to `total`, each rounded by adding and subtracting `magic`; (N,), float64 except `terms`.

    `terms` is scratch: it may be overwritten.
    """
    if total.is_cuda and isinstance(weight, Tensor) and (kernel := _kernel(total.device)) is not None:
        kernel(total, terms, magic, weight)
    else:
        total.add_(terms.double().mul_(weight).add_(magic).sub_(magic))


@cache
def _kernel(device: torch.device) -> AddRounded | None:
    """Return Triton's kernel if it works: it comes with torch for CUDA, but needs a C compiler and Python's headers."""
    try:
        from fbmon.train.mean.kernels import add_rounded_  # takes a second to import

        total, terms, magic, weight = torch.zeros(4, 1, dtype=torch.float64, device=device)
        add_rounded_(total, terms, magic, weight[0])
    except Exception as error:  # it raises whatever its parts do: of the import, the compiler, a missing library
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        log(f"the mean is added up without Triton, which failed: {reason}")
        return None
    return add_rounded_
