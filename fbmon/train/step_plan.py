"""A step as the recipe alone plans it, and the updates of the weights that it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fbmon.recipe import Gradient, Recipe
from fbmon.recipe.schedule import learning_rate
from fbmon.train.data.blocks import blocks
from fbmon.train.data.data import Samples


@dataclass(frozen=True)
class Step:
    """Step `number`, counted from 1: a pass over its blocks with one update of the weights, or one after each."""

    number: int
    learning_rate: float  # which scales the penalty too
    blocks: Sequence[Tensor]  # the numbers of the images of each, int64
    is_by_block: bool

    @property
    def images(self) -> int:
        """The number of images, copies counted."""
        return sum(map(len, self.blocks))

    def updates(self) -> list["Update"]:
        """Return the updates in their order."""
        if self.is_by_block:
            return [Update(self, [block], k) for k, block in enumerate(self.blocks)]
        return [Update(self, self.blocks)]


@dataclass(frozen=True)
class Update:
    """An update by the mean gradient over `blocks`, of which the first is block `first` of its step."""

    step: Step
    blocks: Sequence[Tensor]
    first: int = 0

    @property
    def images(self) -> list[int]:
        """The number of images of each block."""
        return [len(block) for block in self.blocks]


def plan_step(recipe: Recipe, train: Samples, number: int) -> Step:
    """Return step `number` of a recipe on these training images."""
    return Step(
        number,
        learning_rate(number - 1, recipe.schedule, recipe.optimizer),
        blocks(len(train), recipe.data, recipe.gradient, recipe.seed, number, train.device),
        is_by_block(recipe.gradient, number),
    )


def is_by_block(gradient: Gradient, number: int) -> bool:
    """Say whether step `number`, counted from 1, updates after every block."""
    switched = gradient.switch_at is not None and number >= gradient.switch_at
    return (gradient.update == "block") != switched
