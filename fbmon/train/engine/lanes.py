"""Several blocks at a time, each in a lane: a copy of the network, its whole work one captured graph.

The means of the lanes are added exactly, so the gradient has the bits of the eager engine's wherever their
operations are the same. On a CPU a lane computes without a graph, one block after the other; that is for tests.
"""

from contextlib import ExitStack

import torch
from torch import Tensor

from fbmon.train.engine.flight import InFlight
from fbmon.train.engine.lane import Lane
from fbmon.train.engine.network import Network
from fbmon.train.engine.work import CaptureError, Pass
from fbmon.train.hardware.memory import is_out_of_memory
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.mean.statistics import RunningStatistics

_AHEAD = 2  # blocks a lane


class Lanes:
    """An `Engine` of `count` lanes; the n-th block of this rank goes through lane n mod `count`."""

    def __init__(
        self, network: Network, statistics: RunningStatistics, watch: Stopwatch, count: int, note: str = ""
    ) -> None:
        self._network = network
        self._statistics = statistics
        self._watch = watch
        self._wanted = count
        self._note = note
        self._lanes = [Lane(network) for _ in range(count)]
        self._flight = InFlight(network.device, _AHEAD * count)
        self._apart = ExitStack()  # contexts that end when the lanes come together again
        self._are_apart = False

    @property
    def name(self) -> str:
        count = len(self._lanes)
        missed = f"no memory for {self._wanted}" if count < self._wanted else ""
        return ", ".join(filter(None, [f"{count} lane{'s'[: count > 1]}", missed, self._note]))

    def begin(self, work: Pass) -> None:
        self._apart.close()  # of a pass that was interrupted
        self._work, self._added = work, 0
        for index, lane in enumerate(self._lanes[: len(work.update.blocks)]):
            try:
                lane.begin(work, self._network, self._statistics.rows)
            except RuntimeError as error:  # whatever CUDA refuses, memory included
                is_enough = index > 0 and is_out_of_memory(error)
                del self._lanes[index if is_enough else 0 :]  # and their memory
                if is_enough:
                    return
                raise CaptureError(f"not captured, {str(error).strip().splitlines()[0][:200]}") from None

    def add(self, k: int, row: Tensor) -> None:
        self._flight.wait()
        self._fork()
        lane = self._lanes[self._added % len(self._lanes)]
        self._added += 1
        with lane.queue.within(), torch.no_grad():
            program = lane.compute(self._work.update.blocks[k], self._work.weights[k])
            row.copy_(program.row)
            self._statistics.put(program.statistics)
            self._flight.add()

    def join(self) -> None:
        self._apart.close()

    def finish(self) -> None:
        self.join()
        with self._watch.timing("mean"), torch.no_grad():
            for lane in self._lanes[: self._added]:
                lane.absorb_into(self._work.mean)

    def _fork(self) -> None:
        """Let each lane continue from here by itself, if the lanes do not do so already."""
        if self._are_apart:
            return
        self._apart.enter_context(self._watch.timing("gradient"))
        self._apart.callback(self._come_together)
        self._are_apart = True
        for lane in self._lanes:
            lane.queue.fork()

    def _come_together(self) -> None:
        self._are_apart = False
        for lane in self._lanes:
            lane.queue.join()
