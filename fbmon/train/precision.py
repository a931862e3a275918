"""In which arithmetic a network is evaluated."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

Precision = Literal["float32", "tf32", "bfloat16", "float64"]


def set_precision_(model: nn.Module, precision: Precision) -> None:
    """Give the weights their dtype, and say process-wide whether a GPU may round factors to TF32 (10 bits).

    A CPU knows no TF32: there "tf32" is "float32".
    """
    model.to(torch.float64 if precision == "float64" else torch.float32)
    factors = "tf32" if precision == "tf32" else "ieee"
    # Convolutions are TF32 by default, matrix products are not.
    torch.backends.cudnn.conv.fp32_precision = factors  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = factors


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Within it, forward passes are in bfloat16 where that is safe, if the precision says so."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
