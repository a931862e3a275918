"""The function to minimize, of a network's outputs and the targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, mse_loss, one_hot

from fbmon.errors import UsageError
from fbmon.recipe.schema import Loss, LossName
from fbmon.text import clean
from fbmon.train.foreign import load_code, naming_the_line


class Objective(Protocol):
    """The interface of a loss."""

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over all targets of a block, as it is minimized."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum over the samples of a block of each one's mean, as it is validated: without smoothing."""


def make_objective(section: Loss) -> Objective:
    """Make the loss of a recipe. Raises UsageError for a function of the user's own that is not to be had."""
    if section.reference:
        title = f'loss.name = "{clean(section.name, 100)}"'
        with naming_the_line(title):
            function = load_code(section.reference, section)
            own = function() if isinstance(function, type) else function
        return OwnLoss(cast(Callable[[Tensor, Tensor], object], own), title)
    name = cast(LossName, section.name)
    match name:
        case "cross_entropy":
            return CrossEntropy(section.label_smoothing)
        case "mse":
            return SquaredError()
        case _:
            assert_never(name)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of logits (B, classes, ...) and classes int64 (B, ...), with 1 - smoothing on the label.

    The rest is spread evenly over the other classes, as in the authors' code; torch's own label smoothing spreads it
    over all classes.
    """

    smoothing: float = 0.0

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.smoothing == 0:
            return cross_entropy(outputs, targets)
        log_likelihoods = log_softmax(outputs, 1)
        label = log_likelihoods.gather(1, targets.unsqueeze(1)).squeeze(1)
        others = log_likelihoods.sum(1) - label
        return -((1 - self.smoothing) * label + self.smoothing / (outputs.shape[1] - 1) * others).mean()

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets, reduction="sum") / targets[0].numel()


@dataclass(frozen=True)
class SquaredError:
    """The squared difference of outputs and numbers of the same shape; of classes, from 1 for the class and 0 else."""

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if not targets.is_floating_point():
            targets = one_hot(targets, outputs.shape[1]).movedim(-1, 1)
        if outputs.shape != targets.shape:  # torch would broadcast, and compare every output with every target
            raise UsageError(
                f'loss.name = "mse": the network returned {tuple(outputs.shape)} for targets {tuple(targets.shape)}'
            )
        return mse_loss(outputs, targets.to(outputs.dtype))

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.mean(outputs, targets) * len(outputs)


@dataclass(frozen=True)
class OwnLoss:
    """A function of the user's own of outputs (B, ...) and targets (B, ...) that returns their mean, a scalar.

    Targets that are numbers are given to it in the outputs' dtype.
    """

    function: Callable[[Tensor, Tensor], object]
    title: str  # in errors

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        given = targets.to(outputs.dtype) if targets.is_floating_point() else targets
        with naming_the_line(self.title):
            loss = self.function(outputs, given)
        if not isinstance(loss, Tensor) or loss.dim():
            returned = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise UsageError(f"{self.title}: returned {returned}, not a tensor of a single number, the block's mean")
        return loss

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.mean(outputs, targets) * len(outputs)


def hits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return how many of the targets have the highest of the logits (B, classes, ...), float64; 0 for numbers."""
    if targets.is_floating_point():
        return outputs.new_zeros((), dtype=torch.float64)
    return (outputs.argmax(1) == targets).double().sum()
