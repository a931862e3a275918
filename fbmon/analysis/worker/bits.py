"""The distance of two vectors of floats: in bits, in steps from one float to the next, and as numbers."""

import torch
from torch import Tensor

from fbmon.analysis.verdict import Compared

_INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


def compare(way: str, first: Tensor, other: Tensor, *, is_promised: bool) -> Compared:
    """The second is rounded to the precision of the first, if it has another."""
    rounded = other.to(first.dtype)
    one, two = first.double(), other.double()
    lengths = float(one.norm() * two.norm())
    return Compared(
        way=way,
        is_promised=is_promised,
        numbers=len(first),
        equal=int((_bits(first) == _bits(rounded)).sum()),
        ulps=int((_places(first) - _places(rounded)).abs().max()),
        difference=float((one - two).abs().max()),
        cosine=float(one @ two) / lengths if lengths else 1.0,
    )


def _bits(floats: Tensor) -> Tensor:
    return floats.contiguous().view(_INTEGERS[floats.dtype])


def _places(floats: Tensor) -> Tensor:
    """The place of each in the ascending row of all floats of its kind, from 0 for zero of either sign."""
    bits = _bits(floats).long()
    lowest = torch.iinfo(_INTEGERS[floats.dtype]).min
    return torch.where(bits < 0, lowest - bits, bits)
