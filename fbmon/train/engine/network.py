"""A network and the whole path of a block through it: data, forward, backward, penalty, clipping."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from fbmon.train.data.blocks import Batch
from fbmon.train.engine.block import Timing, block_gradient
from fbmon.train.hardware.precision import Precision, logits_of
from fbmon.train.hardware.stopwatch import Part
from fbmon.train.objective.loss import Objective
from fbmon.train.objective.regularize import Gradient, Regularizer, forward_passes
from fbmon.train.randomness import seed_block_

# From the numbers of some samples, int64 (B,), and the step, which a captured graph reads from the device.
MakeBatch = Callable[[Tensor, int | Tensor], Batch]
Evaluate = Callable[[nn.Module, Tensor], Tensor]  # from a model and its input (B, ...): its output (B, ...)


def untimed(_part: Part) -> AbstractContextManager[None]:
    return nullcontext()


def evaluate(model: nn.Module, inputs: Tensor) -> Tensor:
    """Evaluate a model operation by operation."""
    logits: Tensor = model(inputs)
    return logits


class Network:
    """The recipe's network on its device; each block's gradient is clipped to `block_norm`."""

    def __init__(
        self,
        model: nn.Module,
        make_batch: MakeBatch,
        objective: Objective,
        precision: Precision = "float32",
        block_norm: float | None = None,
        evaluate: Evaluate = evaluate,
        seed: int | None = None,
    ) -> None:
        """Make a network; one without a `seed` has no randomness of its own."""
        self.model = model
        self._seed = seed
        self.parameters: list[Tensor] = list(model.parameters())
        self.device = self.parameters[0].device
        self.dtype = self.parameters[0].dtype
        self._make_batch = make_batch
        self.objective = objective
        self._precision = precision
        self._block_norm = block_norm
        self._evaluate = evaluate

    @property
    def is_random(self) -> bool:
        """Say whether each block has to begin torch's random numbers anew, which no captured graph does."""
        return self._seed is not None

    def twin(self) -> "Network":
        """Return a copy of the network with weights and buffers of its own."""
        return self._with(copy.deepcopy(self.model), self._evaluate)

    def compiled(self) -> "Network":
        """Return this network with forward and backward fused by torch's compiler, which changes the last bits.

        It compiles once for each size of a block, when it first meets it, for all twins. Kernels are chosen without
        timing, so that they are the same each time; they are captured like any others.
        """
        fused = torch.compile(evaluate, fullgraph=True, dynamic=False, options={"deterministic": True})
        return self._with(self.model, fused)

    @torch.no_grad()
    def follow(self, other: "Network") -> None:
        """Copy the weights of another network."""
        torch._foreach_copy_(list(self.parameters), list(other.parameters))

    def block(
        self,
        numbers: Tensor,
        step: int | Tensor,
        learning_rate: float | Tensor,
        take: Callable[[], None],
        regularizer: Regularizer | None = None,
        full: Gradient | None = None,
        timing: Timing = untimed,
    ) -> tuple[Gradient, Tensor]:
        """Return the gradient and measures (see `block_gradient`) of the block of the images with these numbers.

        `take` is called after each forward pass, when batch norm has left its statistics. Raises AssertionError for a
        regularizer that makes another number of passes than it promises: batch norm and the FLOP count rely on it.
        """
        with timing("data"):
            batch = self._make_batch(numbers, step)
        # Compiled code has no second derivative.
        run = evaluate if regularizer and regularizer.differentiates_twice else self._evaluate
        passes = 0

        def forward(inputs: Tensor) -> Tensor:
            nonlocal passes
            passes += 1
            if self._seed is not None:
                seed_block_(self._seed, int(step), numbers)
            logits = logits_of(partial(run, self.model), inputs, self._precision)
            take()
            return logits

        result = block_gradient(
            forward,
            self.parameters,
            batch,
            self.objective,
            learning_rate,
            timing,
            regularizer,
            full,
            self._block_norm,
        )
        if passes != (promised := forward_passes(regularizer)):
            raise AssertionError(f"a block went {passes} times through the network, its regularizer says {promised}")
        return result

    def _with(self, model: nn.Module, evaluate: Evaluate) -> "Network":
        return Network(model, self._make_batch, self.objective, self._precision, self._block_norm, evaluate, self._seed)
