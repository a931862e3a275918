"""Batch norm's running statistics: those of each block are recorded and folded in block order, on all ranks."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fbmon.train.ranks.distribute import ALONE, Ranks

_MOMENTUM = 0.1
_ROUNDS = 64  # blocks of each rank whose statistics are kept before they are exchanged and folded


class RunningStatistics:
    """The statistics with which batch norm evaluates, the same bits on any number of ranks.

    In training every batch norm writes the mean and the unbiased variance of the block at hand into one flat tensor of
    ours, the row, of which its buffers are views; after each forward pass the row is recorded. "momentum" folds all
    rows as the authors' code does, running = 0.9 running + 0.1 row, also those that the penalty takes at shifted
    weights; "mean" is the mean over the blocks of a step, by images, of each one's first row, that at the weights
    themselves.
    """

    def __init__(self, model: nn.Module, how: Literal["momentum", "mean"], ranks: Ranks = ALONE) -> None:
        self._how = how
        self._ranks = ranks
        self._row = flatten_(model, "running_mean", "running_var")
        self._counts = flatten_(model, "num_batches_tracked")
        for norm in batch_norms(model):
            norm.momentum = 1.0  # a forward pass then leaves exactly the block's own statistics

    def start(self, shares: Sequence[float], passes: int, *, goes_on: bool = False) -> None:
        """Begin a pass over blocks with these shares of the step's images and `passes` forward passes each.

        `goes_on`: the step has had a pass over other blocks before, which counts too.
        """
        self._shares = shares
        self._passes = passes
        self.rows = passes if self._how == "momentum" else 1  # kept of each block
        self._rounds = min(_ROUNDS, math.ceil(len(shares) / self._ranks.size))
        self._table = self._row.new_zeros(self._rounds, self.rows, len(self._row))
        self._round = -1
        self._taken = 0  # forward passes of the block at hand
        self._folded = 0
        if self._how == "momentum":
            self._running = self._row.clone()
        elif not goes_on:
            self._running = torch.zeros_like(self._row, dtype=torch.float64)
        self._counted = self._counts + len(shares) * passes

    def next_block(self, join: Callable[[], None]) -> None:
        """Begin this rank's next block, to which the following forward passes belong.

        `join` is called before the statistics recorded so far are used.
        """
        self._end_block()
        self._round += 1
        if self._round and self._round % self._rounds == 0:
            join()
            self._fold()

    def take(self) -> None:
        """Record the statistics of a forward pass."""
        if self._taken < self.rows:
            self._table[self._round % self._rounds, self._taken] = self._row
        self._taken += 1

    def put(self, taken: Tensor) -> None:
        """Record all statistics of a block computed elsewhere, (`rows`, channels)."""
        slot = self._table[self._round % self._rounds]
        if taken.shape != slot.shape:  # a copy would spread one row over all
            raise AssertionError(f"a block left {len(taken)} rows of batch norm's statistics instead of {self.rows}")
        slot.copy_(taken)
        self._taken = self._passes

    def finish(self) -> None:
        """Put the running statistics into the buffers with which batch norm evaluates."""
        self._end_block()
        if (begun := (self._round + 1) * self._ranks.size) < len(self._shares):
            raise AssertionError(f"batch norm's statistics are of {begun} of {len(self._shares)} blocks")
        self._fold()
        self._row.copy_(self._running)
        self._counts.copy_(self._counted)

    def _end_block(self) -> None:
        """Raise AssertionError if the block at hand lacks promised passes or has too many: zeros would stand for it."""
        block = self._round * self._ranks.size + self._ranks.rank
        promised = self._passes if self._round >= 0 and block < len(self._shares) else 0
        if self._taken != promised:
            raise AssertionError(f"batch norm was to see {promised} forward passes of a block and saw {self._taken}")
        self._taken = 0

    def _fold(self) -> None:
        gathered = self._ranks.gather(self._table)  # (ranks, rounds, rows, channels)
        in_order = gathered.transpose(0, 1).flatten(0, 1)
        for rows, share in zip(in_order, self._shares[self._folded :], strict=False):
            for row in rows:
                if self._how == "momentum":
                    self._running.lerp_(row, _MOMENTUM)
                else:
                    self._running.add_(row, alpha=share)
            self._folded += 1


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a model, of any dimension, that keep running statistics."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]


def flatten_(model: nn.Module, *names: str) -> Tensor:
    """Move batch norm's buffers of these names into one tensor and return it; they become views of it."""
    buffers = [(norm, name, norm.get_buffer(name)) for norm in batch_norms(model) for name in names]
    if not buffers:
        return torch.zeros(0, device=next(model.parameters()).device)  # as the fully connected network has none
    flat = torch.cat([buffer.reshape(-1) for *_, buffer in buffers])
    views = torch.split(flat, [buffer.numel() for *_, buffer in buffers])
    for (norm, name, buffer), view in zip(buffers, views, strict=True):
        setattr(norm, name, view.view_as(buffer))
    return flat
