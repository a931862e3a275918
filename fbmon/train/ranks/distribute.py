"""The ranks that share a pass over the blocks; one rank alone needs no process group."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from fbmon.errors import RankLostError, StallError
from fbmon.ranks.heartbeat import Doing

_FIRST_ALONE = timedelta(hours=24)  # rank 0 may be downloading a data set

Tell = Callable[[Doing], None]


def _silent(_doing: Doing) -> None:
    pass


@dataclass
class Ranks:
    """The ranks as seen by this process, number `rank` of `size`; block k of a pass is the work of rank k mod size.

    `tell` is called with what the process is doing, for its supervisor. A failed exchange raises RankLostError.
    """

    rank: int = 0
    size: int = 1
    tell: Tell = _silent
    _doing: Doing = field(default=Doing.PREPARING, init=False)  # until its first block has ended, which compiles

    @property
    def is_first(self) -> bool:
        """Say whether this is the rank that reports, saves and is spoken to."""
        return self.rank == 0

    def rounds(self, blocks: int) -> Iterator[tuple[int, int | None]]:
        """Yield the number of each round's first block, and of this rank's, if any; every rank has as many rounds."""
        for first in range(0, blocks, self.size):
            self.tell(self._doing)
            mine = first + self.rank
            yield first, mine if mine < blocks else None
            self._doing = Doing.COMPUTING

    def own(self, blocks: int) -> range:
        """Return the blocks of a pass that are this rank's work."""
        return range(self.rank, blocks, self.size)

    def sum_(self, tensor: Tensor) -> None:
        """Replace a tensor, of one shape on all ranks, by the sum over them."""
        if self.size > 1:
            with self._exchange():
                dist.all_reduce(tensor)

    def max_(self, tensor: Tensor) -> None:
        """Replace a tensor, of one shape on all ranks, by the largest entries among them."""
        if self.size > 1:
            with self._exchange():
                dist.all_reduce(tensor, dist.ReduceOp.MAX)

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all ranks, stacked in the order of the ranks: (size, *shape)."""
        if self.size == 1:
            return tensor[None]
        stacked = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._exchange():
            dist.all_gather(stacked, tensor)
        return torch.stack(stacked)

    def highest(self, number: int) -> int:
        """Return the highest of the ranks' numbers, exchanged between the hosts without waiting for a device."""
        if self.size == 1:
            return number
        together = torch.tensor([number])
        self.max_(together)
        return int(together)

    def share(self, content: bytes) -> bytes:
        """Return rank 0's content on every rank."""
        if self.size == 1:
            return content
        length = self.highest(len(content) if self.is_first else 0)
        shared = torch.zeros(length, dtype=torch.uint8)
        if self.is_first and length:
            shared.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        if length:
            with self._exchange():
                dist.broadcast(shared, 0)
        return shared.numpy().tobytes()

    def lead(self, what: str, word: str) -> None:
        """Let the ranks that wait in `follow_first` continue, with a word from rank 0, which calls this."""
        if self.size > 1:
            dist.distributed_c10d._get_default_store().set(what, word)

    def follow_first(self, what: str) -> str:
        """Wait, for hours if need be, until rank 0 has called `lead`, and return its word."""
        store = dist.distributed_c10d._get_default_store()
        with self._exchange():
            store.wait([what], _FIRST_ALONE)
            return store.get(what).decode()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Report this process as away, computing nothing, for as long as the context lasts."""
        self.tell(Doing.AWAY)
        try:
            yield
        finally:  # else it would seem away for ever, and nobody would notice that it is stuck
            self.tell(self._doing)

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        self.tell(Doing.WAITING)
        try:
            yield
        except RuntimeError as error:  # torch's own errors of distribution are RuntimeErrors too
            reason = " ".join(str(error).split())[:300]
            kind = StallError if "timed out" in reason.lower() or "timeout" in reason.lower() else RankLostError
            raise kind(f"rank {self.rank} has lost the others: {reason}") from None
        self.tell(self._doing)


ALONE = Ranks()
