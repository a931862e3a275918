"""The one operation for which torch has no kernel of its own: rounding terms to a unit and adding them, in one go.

Operation after operation that is five passes over float64; on a GPU, where a block of 32 images is to take half a
millisecond, they would cost a good part of it.
"""

from functools import cache
from types import ModuleType

from torch import Tensor


def add_rounded_(total: Tensor, terms: Tensor, magic: Tensor, weight: float | Tensor) -> None:
    """total += weight * terms, each rounded by adding and subtracting `magic`; (N,), float64 but for `terms`.

    `terms` is scratch: it may be overwritten.
    """
    if total.is_cuda and isinstance(weight, Tensor) and (kernels := _kernels()) is not None:
        kernels.add_rounded_(total, terms, magic, weight)
    else:
        total.add_(terms.double().mul_(weight).add_(magic).sub_(magic))


@cache
def _kernels() -> ModuleType | None:
    try:
        from fbmon.train import kernels  # Triton comes with torch for CUDA only, and takes a second to import
    except ImportError:
        return None
    return kernels
