"""The arithmetic in which a network is evaluated, and the memory layout that suits it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Literal, assert_never

import torch
from torch import Tensor, nn

Precision = Literal["float32", "tf32", "bfloat16", "float64"]

# A product of this side in bfloat16 takes 0.3 times as long as in float32 with instructions for it, 5 times on AVX-512
# without them and 100 times on AVX2.
_SIDE, _TRIES = 256, 3
_EMULATED = 3.0


def set_precision_(model: nn.Module, precision: Precision) -> None:
    """Set the weights' dtype and layout and, process-wide, whether a GPU may round factors to TF32 (10 bits).

    A CPU has no TF32: there "tf32" is "float32".
    """
    model.to(torch.float64 if precision == "float64" else torch.float32)
    if _is_channels_last(precision, next(model.parameters()).device):
        lay_out_(model, torch.channels_last)
    rounding = "tf32" if precision == "tf32" else "ieee"
    # Convolutions are TF32 by default, matrix products are not.
    torch.backends.cudnn.conv.fp32_precision = rounding  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = rounding


def lay_out_(model: nn.Module, layout: torch.memory_format) -> None:
    """Move the weights into another memory layout."""
    to: Any = model.to  # torch 2.10 has no type for this argument
    to(memory_format=layout)


def factors(precision: Precision) -> torch.dtype:
    """Return the dtype in which factors are multiplied."""
    match precision:
        case "bfloat16":
            return torch.bfloat16
        case "float64":
            return torch.float64
        case "float32" | "tf32":
            return torch.float32
        case _:
            assert_never(precision)


@cache
def is_emulated(precision: Precision, device: torch.device) -> bool:
    """Say whether a device has no instructions for this precision, so that it is many times slower than float32.

    A CPU is tested by timing one thread for a tenth of a second: that shows what torch and its libraries really use,
    and is not affected by other programs.
    """
    if precision != "bfloat16":
        return False
    if device.type == "cuda":
        return not torch.cuda.is_bf16_supported(including_emulation=False)
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    ratio = _product_seconds(torch.bfloat16) / _product_seconds(torch.float32)
    if threads > 1:
        torch.set_num_threads(threads)
    return ratio > _EMULATED


def emulation(precision: Precision, device: torch.device) -> str:
    """Return a note that a precision is emulated; empty if it is not."""
    kind = "GPU" if device.type == "cuda" else "processor"
    return f"{precision} is emulated by this {kind}" if is_emulated(precision, device) else ""


@torch.no_grad()
def _product_seconds(dtype: torch.dtype) -> float:
    factor, taken = torch.ones(_SIDE, _SIDE, dtype=dtype), []
    for _ in range(1 + _TRIES):
        began = time.thread_time()
        torch.mm(factor, factor)
        taken.append(time.thread_time() - began)
    return min(taken[1:])


def _is_channels_last(precision: Precision, device: torch.device) -> bool:
    """Say whether convolutions are faster with a pixel's channels side by side; docs/performance.md has the figures.

    The layout of the weights decides that of all features. It is a rule, not a measurement at the start: with another
    layout a run has other last bits. A GPU's tensor cores need it, its float32 does not.
    """
    if precision == "float64":
        return False
    return device.type == "cpu" or precision != "float32"


def logits_of(model: Callable[[Tensor], Tensor], inputs: Tensor, precision: Precision) -> Tensor:
    """Return a network's outputs (B, ...) for inputs (B, ...), computed in the precision, in the weights' dtype."""
    with autocast(precision, inputs.device):
        outputs = model(inputs)
    return outputs.float() if precision == "bfloat16" else outputs


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Run forward passes in bfloat16 where that is safe, if the precision says so."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
