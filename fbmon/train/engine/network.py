"""A network and all that a block is put through: data, forward, backward, penalty, clipping."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from fbmon.recipe import Penalty
from fbmon.train.blocks import Batch
from fbmon.train.engine.block import Objective, Timing, block_gradient
from fbmon.train.precision import Precision, autocast
from fbmon.train.regularize import Gradient
from fbmon.train.stopwatch import Part

# Of the numbers of some images, int64 (B,), and the step, which a captured graph reads from the device.
MakeBatch = Callable[[Tensor, int | Tensor], Batch]


def untimed(_part: Part) -> AbstractContextManager[None]:
    return nullcontext()


class Network:
    """The recipe's network on its device; `block_norm` is to what each block's gradient is clipped."""

    def __init__(
        self,
        model: nn.Module,
        make_batch: MakeBatch,
        objective: Objective,
        precision: Precision = "float32",
        block_norm: float | None = None,
    ) -> None:
        self.model = model
        self.parameters: list[Tensor] = list(model.parameters())
        self.device = self.parameters[0].device
        self.dtype = self.parameters[0].dtype
        self._make_batch = make_batch
        self._objective = objective
        self._precision = precision
        self._block_norm = block_norm

    def twin(self) -> "Network":
        """A network of its own weights and buffers."""
        model = copy.deepcopy(self.model)
        return Network(model, self._make_batch, self._objective, self._precision, self._block_norm)

    @torch.no_grad()
    def follow(self, other: "Network") -> None:
        """Take over the weights of another."""
        torch._foreach_copy_(list(self.parameters), list(other.parameters))

    def block(
        self,
        numbers: Tensor,
        step: int | Tensor,
        rate: float | Tensor,
        take: Callable[[], None],
        penalty: Penalty | None = None,
        full: Gradient | None = None,
        timing: Timing = untimed,
    ) -> tuple[Gradient, Tensor]:
        """The gradient of the block of the images with these numbers, and what is told of it (see `block_gradient`).

        `take` is called after each forward pass, when batch norm has left its statistics.
        """
        with timing("data"):
            batch = self._make_batch(numbers, step)

        def forward(inputs: Tensor) -> Tensor:
            with autocast(self._precision, inputs.device):
                logits: Tensor = self.model(inputs)
            take()
            return logits.to(self.dtype)

        return block_gradient(
            forward,
            self.parameters,
            batch,
            self._objective,
            rate,
            timing,
            penalty,
            full,
            self._block_norm,
        )
