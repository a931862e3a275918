"""A lane: a copy of the network, and the whole work of a block on it as one graph with inputs at fixed addresses."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fbmon.train.engine.network import Network
from fbmon.train.engine.queue import Queue
from fbmon.train.engine.work import Pass
from fbmon.train.mean.mean import Mean
from fbmon.train.mean.statistics import flatten_
from fbmon.train.objective.regularize import Gradient


@dataclass(frozen=True)
class Program:
    """The work of a block of one size in one kind of pass; `run` computes it from the inputs to the results."""

    numbers: Tensor  # of the images, int64 (B,): input
    row: Tensor  # the measures of the block, float64 (4,): result
    statistics: Tensor  # what batch norm has left, (rows, channels): result
    run: Callable[[], None]


class Lane:
    """A lane that computes blocks into a mean of its own; on a GPU in a queue of its own, beside other lanes."""

    def __init__(self, network: Network) -> None:
        self._network = network.twin()
        self._network.model.train()
        self._left = flatten_(self._network.model, "running_mean", "running_var")
        self.queue = Queue(network.device)
        # Inputs that stay the same for a pass, and the weight of a block.
        self._step = torch.zeros((), dtype=torch.int64, device=network.device)
        self._learning_rate = torch.zeros((), dtype=network.dtype, device=network.device)
        self._weight = torch.zeros((), dtype=torch.float64, device=network.device)
        self._full: Gradient = []
        self._means: dict[Mean, Mean] = {}
        self._programs: dict[tuple[object, ...], Program] = {}

    @torch.no_grad()
    def begin(self, work: Pass, network: Network, rows: int) -> None:
        """Prepare for a pass at the weights of `network` that keeps `rows` rows of each block's statistics.

        Raises RuntimeError for work that cannot be captured.
        """
        self._work, self._rows = work, rows
        self._network.follow(network)
        self._step.fill_(work.update.step.number)
        self._learning_rate.fill_(work.update.step.learning_rate)
        if work.full is not None:
            self._full = self._full or [part.clone() for part in work.full]
            torch._foreach_copy_(self._full, work.full)
        self._mean = self._means.setdefault(work.mean, work.mean.twin())
        self._mean.follow(work.mean)
        for key, numbers in {self._key(len(numbers)): numbers for numbers in work.update.blocks}.items():
            if key not in self._programs:
                self._programs[key] = self._make(numbers)
                self._mean.follow(work.mean)  # drops what was added while warming up

    def absorb_into(self, mean: Mean) -> None:
        """Add this lane's part of the pass to `mean`."""
        mean.absorb(self._mean)

    @torch.no_grad()
    def compute(self, numbers: Tensor, weight: float) -> Program:
        """Add a block's gradient, with `weight`, to the mean; return the program that holds its results."""
        program = self._programs[self._key(len(numbers))]
        program.numbers.copy_(numbers)
        self._weight.fill_(weight)
        program.run()
        return program

    def _key(self, size: int) -> tuple[object, ...]:
        """Return the key of a captured graph; it includes the mean, to whose memory the graph adds."""
        work = self._work
        return size, work.mean, work.regularizer, work.full is not None, self._rows

    def _make(self, numbers: Tensor) -> Program:
        """Make the program for blocks as large as this one."""
        numbers = numbers.clone()
        row = torch.zeros(4, dtype=torch.float64, device=numbers.device)
        statistics = self._left.new_zeros(self._rows, len(self._left))
        mean, regularizer = self._mean, self._work.regularizer
        full = self._full if self._work.full is not None else None
        # Not the lane itself, which holds the programs: a cycle would keep its memory until Python collects it.
        network, left, step, weight = self._network, self._left, self._step, self._weight
        learning_rate = self._learning_rate

        def run() -> None:
            slots = iter(statistics)

            def take() -> None:
                if (slot := next(slots, None)) is not None:
                    slot.copy_(left)

            with torch.enable_grad():
                gradient, measures = network.block(numbers, step, learning_rate, take, regularizer, full)
            if next(slots, None) is not None:
                raise AssertionError(f"a block left fewer rows of batch norm's statistics than {len(statistics)}")
            mean.add(gradient, weight)
            row.copy_(measures)

        return Program(numbers, row, statistics, self.queue.captured(run))
