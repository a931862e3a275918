"""The samples of each block of a step, and their conversion to network input."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fbmon.recipe import Data, Gradient
from fbmon.train.data.augment import augment, random_bits
from fbmon.train.data.data import DataSet

Batch = tuple[Tensor, Tensor]  # network input (B, ...), targets (B, ...)


def blocks(images: int, data: Data, gradient: Gradient, seed: int, step: int, device: torch.device) -> list[Tensor]:
    """Return the numbers of the images of each block of step `step`, int64, as the recipe alone cuts them.

    Of a data set of `images` images in several copies, copy c holds the numbers from c * images on. "shuffled" draws a
    new order each step, a function of (seed, step). A data set smaller than a block is one block.
    """
    numbers = torch.arange(images * (data.copies or 1), device=device)
    if data.copies and data.copy_per_step:
        numbers = numbers[(step - 1) % data.copies * images :][:images]
    if gradient.order == "shuffled":
        numbers = numbers[torch.argsort(random_bits(seed, step, numbers, draw=3), stable=True)]
    whole = len(numbers) - len(numbers) % gradient.block if gradient.drop_last else len(numbers)
    return list(torch.split(numbers[: whole or len(numbers)], gradient.block))


def batch(data: DataSet, section: Data, numbers: Tensor, seed: int, step: int | Tensor, dtype: torch.dtype) -> Batch:
    """Return the images with these numbers as network input, and their labels.

    Augmentation is drawn anew for each step, or, in a data set of several copies, once for every (seed, copy, image).
    """
    rows = _rows(data, section, numbers)
    drawn = 0 if section.copies else step  # steps count from 1
    inputs = augment(data.pick(data.train.inputs, rows), numbers.to(data.device), section.augment, seed, drawn)
    return data.prepare(inputs, dtype), data.pick(data.train.targets, rows)


def expect(data: DataSet, section: Data, numbers: Sequence[Tensor]) -> None:
    """Name the blocks of which batches will be asked for next, in their order: streamed data are read ahead."""
    data.train.expect([_rows(data, section, block) for block in numbers])


def _rows(data: DataSet, section: Data, numbers: Tensor) -> Tensor:
    """Return the numbers of images in the data set, which the numbers of their copies stand for."""
    return numbers % len(data.train) if section.copies else numbers
