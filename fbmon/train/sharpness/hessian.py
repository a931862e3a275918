"""The Hessian of the full-batch loss as an exact product with vectors: two backward passes through every block."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fbmon.train.objective.regularize import gradient_of
from fbmon.train.ranks.distribute import ALONE, Ranks


class Hessian:
    """The Hessian of the mean over blocks of their mean losses, weighted by their `images`.

    `loss(k)` is block k's, with a graph back to the parameters. Blocks are added up in float64 in their order, whatever
    rank has computed them: a product has the same bits on any number of ranks. `on_block(k)` is called before each
    round of one block a rank and may raise, on all ranks.
    """

    def __init__(
        self,
        loss: Callable[[int], Tensor],
        parameters: Sequence[Tensor],
        images: Sequence[int],
        on_block: Callable[[int], None] = lambda _: None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._loss = loss
        self._parameters = list(parameters)
        self._shares = [count / sum(images) for count in images]
        self._on_block = on_block
        self._ranks = ranks

    def product(self, vector: Tensor) -> Tensor:
        """Return H v, float64 (n,), for v (n,), the parameters one after the other in their own dtype."""
        total = torch.zeros_like(vector, dtype=torch.float64)
        for first, k in self._ranks.rounds(len(self._shares)):
            self._on_block(first)
            mine = torch.zeros_like(vector) if k is None else self._of_block(k, vector)
            for offset, part in enumerate(self._ranks.gather(mine)):
                if first + offset < len(self._shares):
                    total.add_(part.double(), alpha=self._shares[first + offset])
        return total

    def _of_block(self, k: int, vector: Tensor) -> Tensor:
        sizes = [parameter.numel() for parameter in self._parameters]
        direction = [
            part.view_as(parameter)
            for part, parameter in zip(torch.split(vector, sizes), self._parameters, strict=True)
        ]
        gradient = gradient_of(self._loss(k), self._parameters, again=True)
        parts = torch.autograd.grad(gradient, self._parameters, direction, materialize_grads=True)
        return torch.cat([part.reshape(-1) for part in parts])
