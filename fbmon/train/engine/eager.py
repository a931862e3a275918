"""One block after the other, operation by operation: the readable engine, and the reference for the others."""

import torch
from torch import Tensor

from fbmon.train.engine.flight import InFlight
from fbmon.train.engine.network import Network
from fbmon.train.engine.work import Pass
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.mean.statistics import RunningStatistics

_AHEAD = 2  # blocks


class Eager:
    """An `Engine` that computes one block after the other."""

    def __init__(self, network: Network, statistics: RunningStatistics, watch: Stopwatch, name: str = "") -> None:
        self.name = name
        self._network = network
        self._statistics = statistics
        self._watch = watch
        self._flight = InFlight(network.device, _AHEAD)

    def begin(self, work: Pass) -> None:
        self._work = work

    def add(self, k: int, row: Tensor) -> None:
        work, step = self._work, self._work.update.step
        self._flight.wait()
        gradient, measures = self._network.block(
            work.update.blocks[k],
            step.number,
            step.learning_rate,
            self._statistics.take,
            work.regularizer,
            work.full,
            self._watch.timing,
        )
        with self._watch.timing("mean"), torch.no_grad():
            work.mean.add(gradient, work.weights[k])
            row.copy_(measures)
        self._flight.add()

    def join(self) -> None:
        """Do nothing: all work is already in the present queue."""

    def finish(self) -> None:
        """Do nothing: every block is already in the mean."""
