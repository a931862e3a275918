"""The ranks that share a pass over the blocks; one rank alone needs no process group."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `size`; block k of a pass is the work of rank k mod size."""

    rank: int = 0
    size: int = 1

    def mine(self, blocks: int) -> range:
        """The numbers of this rank's blocks, in order."""
        return range(self.rank, blocks, self.size)

    def sum_(self, tensor: Tensor) -> None:
        """Replace a tensor, of one shape on all ranks, by the sum over them."""
        if self.size > 1:
            dist.all_reduce(tensor)

    def max_(self, tensor: Tensor) -> None:
        """Replace a tensor, of one shape on all ranks, by the largest entries among them."""
        if self.size > 1:
            dist.all_reduce(tensor, dist.ReduceOp.MAX)

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all ranks, stacked in the order of the ranks: (size, *shape)."""
        if self.size == 1:
            return tensor[None]
        stacked = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(stacked, tensor)
        return torch.stack(stacked)


ALONE = Ranks()
