"""The speed at which a device multiplies matrices: the most that a training can reach."""

import time

import torch

from fbmon.train.hardware.precision import Precision, factors, is_emulated
from fbmon.train.hardware.remembered import highest

_SIDE = {"cpu": 1024, "cuda": 8192}
_LEAST_SIDE = 256  # where a larger product would take seconds
_TRIES = 5


def attainable_flops(device: torch.device, precision: Precision) -> float:
    """Return the FLOP per second of large square matrix products in this precision: the most ever measured here.

    It is measured each time, in a tenth of a second, since other programs may have been running the times before.
    """
    threads = torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads} threads"
    return highest(f"FLOP/s of {name} in {precision}", _measure(device, precision))


@torch.no_grad()
def _measure(device: torch.device, precision: Precision) -> float:
    side = _LEAST_SIDE if is_emulated(precision, device) else _SIDE[device.type]
    # Random, as a GPU is faster on constant factors, and from a generator that no training draws from.
    generator = torch.Generator(device).manual_seed(0)
    factor = torch.randn(side, side, generator=generator, dtype=factors(precision), device=device)
    product = factor @ factor
    taken = []
    for _ in range(_TRIES):
        _wait(device)
        began = time.perf_counter()
        torch.mm(factor, factor, out=product)
        _wait(device)
        taken.append(time.perf_counter() - began)
    return 2.0 * side**3 / min(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
