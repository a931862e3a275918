"""The distance between two vectors of floats: in bits, in steps from one float to the next, and as numbers."""

import torch
from torch import Tensor

from fbmon.analysis.verdict import Compared

_INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


def compare(way: str, first: Tensor, other: Tensor, *, is_promised: bool) -> Compared:
    """Compare two vectors, the second rounded to the precision of the first if it has another."""
    rounded = other.to(first.dtype)
    left, right = first.double(), other.double()
    lengths = float(left.norm() * right.norm())
    return Compared(
        way=way,
        is_promised=is_promised,
        numbers=len(first),
        equal=int((_bits(first) == _bits(rounded)).sum()),
        ulps=int((_places(first) - _places(rounded)).abs().max()),
        difference=float((left - right).abs().max()),
        cosine=float(left @ right) / lengths if lengths else 1.0,
    )


def _bits(floats: Tensor) -> Tensor:
    return floats.contiguous().view(_INTEGERS[floats.dtype])


def _places(floats: Tensor) -> Tensor:
    """Return the position of each float among all floats of its dtype in ascending order; 0 for zero of either sign."""
    bits = _bits(floats).long()
    lowest = torch.iinfo(_INTEGERS[floats.dtype]).min
    return torch.where(bits < 0, lowest - bits, bits)
