"""Kernels in Triton, with the bits of torch: a product and a sum are not rounded together."""

import triton
import triton.language as tl
from torch import Tensor

OPTIONS = {"enable_fp_fusion": False}  # of the compiler, which would round a product and a sum together
_BLOCK = 1024


def add_rounded_(total: Tensor, terms: Tensor, magic: Tensor, weight: Tensor) -> None:
    """Do the same as `fused.add_rounded_` in one kernel; `weight` is float64 (), `terms` of any floating dtype."""
    count = len(total)
    _add_rounded[(-(-count // _BLOCK),)](total, terms, magic, weight, count, BLOCK=_BLOCK, **OPTIONS)


@triton.jit  # type: ignore[untyped-decorator]
def _add_rounded(total, terms, magic, weight, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, N803
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < count
    unit = tl.load(magic + at, there)
    term = tl.load(terms + at, there).to(tl.float64) * tl.load(weight)
    tl.store(total + at, tl.load(total + at, there) + ((term + unit) - unit), there)
