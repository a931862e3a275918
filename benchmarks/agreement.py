"""What a fast step costs in accuracy: loss curves side by side, and the penalty against float64."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from benchmarks.rows import failed
from benchmarks.table import print_table
from benchmarks.variants import engine, stepper_of
from fbmon.recipe import Penalty, Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.hardware.precision import Precision, emulation
from fbmon.train.objective.regularize import make_regularizer

_IMAGES = 1024
_SHOWN = (1, 2, 5, 10, 20, 30, 40, 50)  # steps


def print_losses(recipe: Recipe, images: DataSet, ways: Sequence[str], steps: int) -> None:
    """The training loss of the first steps on some images, without the warm-up, by each engine and precision."""
    few = replace(images, train=images.train.first(_IMAGES))
    schedule = recipe.schedule.model_copy(update={"warmup": 2})
    recipe = recipe.model_copy(update={"schedule": schedule})
    shown = [step for step in _SHOWN if step <= steps]
    print(f"\nTraining loss of {recipe.name} on {len(few.train):,} images, by step:\n")
    print_table(["", *map(str, shown), "largest deviation"], _rows(recipe, few, ways, steps, shown))


def print_penalties(recipe: Recipe, images: DataSet) -> None:
    """The cosine between what the penalty adds to the gradient of the first block and the same in float64."""
    regularizer = make_regularizer(recipe.penalty or Penalty(strength=0.5))
    numbers = torch.arange(min(recipe.gradient.block, len(images.train)), device=images.device)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    precisions: tuple[Precision, ...] = ("float64", "float32", "tf32", "bfloat16")
    for precision in precisions:
        if reason := emulation(precision, images.device):
            print(f"\n{reason}: not measured")
            continue
        network = stepper_of(recipe, precision, images).descent.network
        network.model.train()
        plain, _ = network.block(numbers, 1, 0.8, _nothing)
        penalized, _ = network.block(numbers, 1, 0.8, _nothing, regularizer)
        gradient = torch.cat([part.reshape(-1).double() for part in plain])
        found[precision] = gradient, torch.cat([part.reshape(-1).double() for part in penalized]) - gradient
    print(f"\nOne block of {len(numbers)} at the first weights of {recipe.name}, cosine to float64:\n")
    rows = [
        [precision, *(f"{_cosine(one, other):.4f}" for one, other in zip(pair, found["float64"], strict=True))]
        for precision, pair in found.items()
    ]
    print_table(["", "gradient", "penalty"], rows)


def _rows(
    recipe: Recipe, images: DataSet, ways: Sequence[str], steps: int, shown: Sequence[int]
) -> Iterator[list[str]]:
    """Each way's curve, and how far it is from the first one's."""
    first: list[float] = []
    for way in ways:
        if reason := emulation(cast(Precision, way.split()[1]), images.device):
            yield [way, f"{reason}: not measured"]
            continue
        try:
            curve = _curve(recipe, images, way, steps)
        except Exception as error:  # of a compiler, say: the others may do better
            yield [way, failed(error)]
            continue
        first = first or curve
        yield [way, *(f"{curve[step - 1]:.5f}" for step in shown), f"{_deviation(curve, first):.2g}"]


def _curve(recipe: Recipe, images: DataSet, way: str, steps: int) -> list[float]:
    name, precision = way.split()
    with engine(name):
        stepper = stepper_of(recipe, cast(Precision, precision), images)
        stepper.plan()
        return [stepper.take_step(stepper.plan_step(step)).loss for step in range(1, steps + 1)]


def _deviation(curve: Sequence[float], first: Sequence[float]) -> float:
    return max(abs(one - other) / abs(other) for one, other in zip(curve, first, strict=True))


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.dot(one, other) / (one.norm() * other.norm()))


def _nothing() -> None:
    pass
