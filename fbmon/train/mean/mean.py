"""The weighted mean of many gradients over all ranks; the exact one does not depend on their order."""

import math
from collections.abc import Sequence
from typing import Literal, Protocol, Self, assert_never

import torch
from torch import Tensor

from fbmon.train.mean.rounded import RoundedSum, flat, largest_entries, unflatten
from fbmon.train.ranks.distribute import ALONE, Ranks

Accumulation = Literal["exact", "fp32", "legacy"]

# How far a parameter's largest term may grow or shrink from one step to the next before the pass is repeated.
_GROWTH_BITS = 4
_SHRINK_BITS = 8
_FLOAT64_BITS = 53


class Mean(Protocol):
    """The interface of a mean for a pass over the blocks: `start`, `add` for each block of this rank, `finish`."""

    @property
    def device(self) -> torch.device:
        """The device on which the mean lies."""

    def start(self) -> None:
        """Begin a new mean."""

    def add(self, gradient: Sequence[Tensor], weight: float | Tensor) -> None:
        """Add a block's gradient; a weight given as a tensor is float64 ()."""

    def twin(self) -> Self:
        """Return a mean for part of the blocks on this rank, for use with `follow` and `absorb`."""

    def follow(self, other: Self) -> None:
        """Begin anew as a part of `other`, which has been started."""

    def absorb(self, other: Self) -> None:
        """Add the sum of a twin."""

    def finish(self) -> list[Tensor]:
        """Return the sum of all ranks' weighted gradients, like the parameters in shape and dtype."""

    def is_good(self) -> Tensor:
        """Return 1 on the device if what `finish` gave is as promised; 0 if the pass needs repeating after `adapt`."""

    def adapt(self) -> None:
        """Prepare for a repetition of the same pass that will be good."""


def make_mean(accumulation: Accumulation, parameters: Sequence[Tensor], blocks: int, ranks: Ranks = ALONE) -> Mean:
    """Make the mean that a recipe names, for `blocks` gradients like `parameters`."""
    match accumulation:
        case "exact" | "legacy":
            return ExactMean(parameters, blocks, ranks)
        case "fp32":
            return PlainMean(parameters, ranks)
        case _:
            assert_never(accumulation)


def weights(accumulation: Accumulation, images: Sequence[int]) -> list[float]:
    """Return the weight of each block in the mean, given its number of images.

    "legacy" is what the authors' code used as a mean until January 2023, and the published figures very likely rest on
    it: an exponential average at rate 1/K over K blocks, from zero. The last block counts e times the first, and all
    together 0.63 instead of 1 (the authors' commit "stable mean tentative fix" mends it).
    """
    if accumulation == "legacy":
        rate = 1 / len(images)
        return [rate * (1 - rate) ** later for later in reversed(range(len(images)))]
    total = sum(images)
    return [count / total for count in images]


class ExactMean:
    """A mean with the same bits for any order of the blocks and any grouping of them into ranks.

    Terms are rounded to multiples of a unit, a power of two, before they are added in float64, so that every sum is
    exact and therefore associative (pre-rounding: Demmel and Nguyen, Parallel Reproducible Summation, 2015). With K
    blocks a unit is 2^-(49 - log2 K) of a parameter's largest term, so 2^-38 for 1,562 blocks: far below float32's
    2^-24. Of float64 gradients, for which that is too little, the remainder of the rounding is added up likewise in a
    second sum, in units 2^-(52 - log2 K) of the first: 2^-79 for as many blocks.

    Units follow the largest terms of the pass before (a maximum has no order either); when a gradient has grown 16-fold
    or shrunk 256-fold since, and in the first pass of all, the pass is repeated once with new units.
    """

    def __init__(self, parameters: Sequence[Tensor], blocks: int, ranks: Ranks = ALONE) -> None:
        self._parameters = parameters
        self._ranks = ranks
        self.device = parameters[0].device
        self._blocks = blocks
        carries = math.ceil(math.log2(blocks))
        self._bits = _FLOAT64_BITS - carries - _GROWTH_BITS
        self._finer = 2.0 ** (carries - _FLOAT64_BITS + 1) if parameters[0].dtype == torch.float64 else None
        # float64 (parameters,), powers of two: all that a mean remembers, so a checkpoint has to keep it.
        self.units = torch.zeros(len(parameters), dtype=torch.float64, device=self.device)
        self._largest = torch.zeros_like(self.units)
        self._sum: RoundedSum | None = None

    def start(self) -> None:
        # Made when first needed, and kept: finding 200 MB of fresh memory for each pass costs more than the addition.
        self._sum = self._sum or RoundedSum(self._parameters, self._finer)
        self._sum.start(self.units)
        self._largest.zero_()

    def add(self, gradient: Sequence[Tensor], weight: float | Tensor) -> None:
        torch.maximum(self._largest, largest_entries(gradient).double().mul_(weight), out=self._largest)
        self._started.add(gradient, weight)

    def twin(self) -> "ExactMean":
        return ExactMean(self._parameters, self._blocks)

    def follow(self, other: "ExactMean") -> None:
        self.units.copy_(other.units)
        self.start()

    def absorb(self, other: "ExactMean") -> None:
        self.total.add_(other.total)
        torch.maximum(self._largest, other._largest, out=self._largest)

    def finish(self) -> list[Tensor]:
        self._ranks.sum_(self.total)
        self._ranks.max_(self._largest)
        return [
            part.to(parameter.dtype, copy=True)
            for part, parameter in zip(self._started.parts(), self._parameters, strict=True)
        ]

    @property
    def total(self) -> Tensor:
        """The sum so far, float64 (rows, entries of all parameters): all rows together, see `RoundedSum`."""
        return self._started.total

    @property
    def _started(self) -> RoundedSum:
        if self._sum is None:
            raise RuntimeError("a mean is started before anything is added to it")
        return self._sum

    def is_good(self) -> Tensor:
        """Return 1 or 0, see `Mean`; leave a gradient that is not finite to the check that stops the run."""
        usable = self._largest.isfinite() & (self._largest > 0)
        exact = self._largest <= self.units * 2.0 ** (self._bits + _GROWTH_BITS)
        fine = self._largest >= self.units * 2.0 ** (self._bits - _SHRINK_BITS)
        return ((exact & fine) | ~usable).all().double()

    def adapt(self) -> None:
        usable = self._largest.isfinite() & (self._largest > 0)
        units = torch.exp2(torch.ceil(torch.log2(self._largest)) - self._bits)
        self.units.copy_(torch.where(usable, units, self.units))


class PlainMean:
    """The fast sum in the parameters' own precision; its last bits depend on the order of the blocks and the ranks."""

    def __init__(self, parameters: Sequence[Tensor], ranks: Ranks = ALONE) -> None:
        self._parameters = parameters
        self._ranks = ranks
        self.device = parameters[0].device
        self._total = torch.zeros(0, device=self.device)

    def start(self) -> None:
        if not len(self._total):
            self._total = torch.cat([flat(parameter.detach()) for parameter in self._parameters])
        self._total.zero_()
        self._parts = unflatten(self._total, self._parameters)

    def add(self, gradient: Sequence[Tensor], weight: float | Tensor) -> None:
        if isinstance(weight, Tensor):
            gradient = torch._foreach_mul(list(gradient), weight.to(self._total.dtype))
            torch._foreach_add_(self._parts, gradient)
        else:
            torch._foreach_add_(self._parts, list(gradient), alpha=weight)

    def twin(self) -> "PlainMean":
        return PlainMean(self._parameters)

    def follow(self, other: "PlainMean") -> None:
        self.start()

    def absorb(self, other: "PlainMean") -> None:
        self._total += other._total

    def finish(self) -> list[Tensor]:
        self._ranks.sum_(self._total)
        return [part.clone() for part in self._parts]

    def is_good(self) -> Tensor:
        return torch.ones((), dtype=torch.float64, device=self.device)

    def adapt(self) -> None:
        """Adapt nothing: always good."""
