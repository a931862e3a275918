"""Batch norm's running statistics: each block's are taken down and folded in the order of the blocks, on all ranks."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from fbmon.train.distribute import ALONE, Ranks

_MOMENTUM = 0.1
_ROUNDS = 16  # blocks of each rank whose statistics are kept before they are exchanged and folded


class RunningStatistics:
    """What batch norm evaluates with, the same bits on any number of ranks.

    In training every batch norm writes the mean and the unbiased variance of the block at hand into one flat tensor of
    ours, the row, of which its buffers are views; after each forward pass the row is taken down. "momentum" folds all
    rows as the authors' code does, running = 0.9 running + 0.1 row, also those that the penalty takes at shifted
    weights; "mean" is the mean over the blocks, by images, of each one's first row, that at the weights themselves.
    """

    def __init__(self, model: nn.Module, how: Literal["momentum", "mean"], ranks: Ranks = ALONE) -> None:
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        self._how = how
        self._ranks = ranks
        self._row = _flatten_(norms, "running_mean", "running_var")
        self._counts = _flatten_(norms, "num_batches_tracked")
        for norm in norms:
            norm.momentum = 1.0  # a forward pass then leaves exactly the block's own statistics

    def start(self, shares: Sequence[float], passes: int) -> None:
        """Begin a pass over blocks that hold these shares of the images and go forward `passes` times each."""
        self._shares = shares
        self._passes = passes if self._how == "momentum" else 1
        self._table = self._row.new_zeros(_ROUNDS, self._passes, len(self._row))
        self._rounds = math.ceil(len(shares) / self._ranks.size)
        self._round = -1
        self._folded = 0
        if self._how == "momentum":
            self._running = self._row.clone()
        else:
            self._running = torch.zeros_like(self._row, dtype=torch.float64)
        self._counted = self._counts + len(shares) * passes

    def next_block(self) -> None:
        """The forward passes that follow are those of this rank's next block."""
        self._round += 1
        self._taken = 0
        if self._round and self._round % _ROUNDS == 0:
            self._fold()

    def take(self) -> None:
        """Take down what a forward pass has left."""
        if self._taken < self._passes:
            self._table[self._round % _ROUNDS, self._taken] = self._row
            self._taken += 1

    def finish(self) -> None:
        """Put the running statistics where batch norm evaluates with them."""
        while self._folded < len(self._shares):  # the rank with the fewest blocks has one round to catch up with
            self._fold()
        self._row.copy_(self._running)
        self._counts.copy_(self._counted)

    def _fold(self) -> None:
        gathered = self._ranks.gather(self._table)  # (ranks, rounds, passes, channels)
        in_order = gathered.transpose(0, 1).flatten(0, 1)
        for rows, share in zip(in_order, self._shares[self._folded :], strict=False):
            for row in rows:
                if self._how == "momentum":
                    self._running.lerp_(row, _MOMENTUM)
                else:
                    self._running.add_(row, alpha=share)
            self._folded += 1


def _flatten_(norms: Sequence[nn.BatchNorm2d], *names: str) -> Tensor:
    """One tensor that holds the buffers of these names; the buffers become views of it."""
    buffers = [(norm, name, norm.get_buffer(name)) for norm in norms for name in names]
    if not buffers:
        return torch.zeros(0)
    flat = torch.cat([buffer.reshape(-1) for *_, buffer in buffers])
    views = torch.split(flat, [buffer.numel() for *_, buffer in buffers])
    for (norm, name, buffer), view in zip(buffers, views, strict=True):
        setattr(norm, name, view.view_as(buffer))
    return flat
