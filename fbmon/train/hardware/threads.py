"""The number of threads on which a CPU computes: as many as pay off for the network at hand, measured once."""

import copy
import os
import time

import torch
from torch import nn

from fbmon.recipe import Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.hardware.precision import logits_of
from fbmon.train.hardware.remembered import remembered
from fbmon.train.ranks.distribute import Ranks

_SECONDS = 0.1  # of each timing
_TRIES = 5
_MOST_SECONDS = 1.0  # of all attempts; a single longer pass is enough
# Threads have to be faster by their number to this power, twice as many 1.5 times: they wait for each other after every
# operation, so that beside other programs two may be five times slower than one, where they are 1.3 times as fast on
# idle cores (quickstart).
_WORTH = 0.6


def choose_threads_(recipe: Recipe, model: nn.Module, data: DataSet, ranks: Ranks) -> None:
    """Set the number of threads, on which the last bits of a run depend.

    OMP_NUM_THREADS wins. Without it a run alone on a CPU takes from one thread up to as many as torch would, by
    measuring forward and backward passes; the result is kept, so that the next run has the same bits.
    """
    most = torch.get_num_threads()
    if data.device.type != "cpu" or "OMP_NUM_THREADS" in os.environ or ranks.size > 1 or most == 1:
        return
    section, block = recipe.model, min(recipe.gradient.block, len(data.train))
    shape = "x".join(map(str, data.form.shape))
    network = f"{section.name} {section.args or {}}" if section.reference else ""
    network = network or f"{section.name} of width {section.width}"
    name = f"threads worth it of {most}: {network} in {recipe.precision}, {block} of {shape}"
    torch.set_num_threads(round(remembered(name, lambda: _fastest(recipe, model, data, most))))


def _fastest(recipe: Recipe, model: nn.Module, data: DataSet, most: int) -> int:
    """Return the fewest threads to which adding more was not worth it."""
    twin = copy.deepcopy(model).train()  # a pass changes batch norm's statistics
    images = 2  # of a single one batch norm may have no variance to compute
    if _seconds(recipe, twin, data, images) < _MOST_SECONDS:
        images = 8
        spent = _seconds(recipe, twin, data, images)
        images = max(images, min(recipe.gradient.block, int(images * _SECONDS / spent)))
    best, least = most, _seconds(recipe, twin, data, images)
    for threads in _fewer(most):
        torch.set_num_threads(threads)
        if (seconds := _seconds(recipe, twin, data, images)) <= least * (best / threads) ** _WORTH:
            best, least = threads, seconds
    torch.set_num_threads(most)
    return best


def _fewer(most: int) -> list[int]:
    """Return the powers of two below `most`, descending."""
    return [2**power for power in range(most.bit_length()) if 2**power < most][::-1]


def _seconds(recipe: Recipe, model: nn.Module, data: DataSet, images: int) -> float:
    """Return the best time of forward and backward passes over `images` images, after a warm-up if a pass is short."""
    dtype = next(model.parameters()).dtype
    inputs, _ = data.read(data.train, torch.arange(min(images, len(data.train))), dtype)
    taken: list[float] = []
    while len(taken) <= _TRIES and sum(taken) < _MOST_SECONDS:
        began = time.perf_counter()
        outputs = logits_of(model, inputs, recipe.precision)
        torch.autograd.grad(outputs.square().mean(), list(model.parameters()), allow_unused=True)
        taken.append(time.perf_counter() - began)
    return min(taken[1:] or taken)
