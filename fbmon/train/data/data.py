"""A data set as tensors on the device: training and validation samples, and how an input goes into a network."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from fbmon.recipe.data_sets import DataSetFacts, Form


@dataclass(frozen=True)
class Samples:
    """Inputs (N, ...) and targets (N, ...).

    Inputs are images uint8 (N, C, H, W), floating-point numbers, or tokens, whole; targets are classes int64 or
    floating-point numbers.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        return self.targets.device

    def first(self, limit: int | None) -> "Samples":
        return self if limit is None else Samples(self.inputs[:limit], self.targets[:limit])

    def only(self, numbers: Tensor) -> "Samples":
        return Samples(self.inputs[numbers], self.targets[numbers])

    def split(self, size: int) -> "Iterator[Samples]":
        """Yield the samples in parts of `size`."""
        for start in range(0, len(self), size):
            yield Samples(self.inputs[start : start + size], self.targets[start : start + size])

    def to(self, device: torch.device) -> "Samples":
        return Samples(self.inputs.to(device), self.targets.to(device))


@dataclass(frozen=True)
class DataSet:
    """Training and validation samples, and what is known of them."""

    train: Samples
    val: Samples
    facts: DataSetFacts

    @property
    def form(self) -> Form:
        return self.facts.form

    @property
    def device(self) -> torch.device:
        return self.train.device

    def to(self, device: torch.device) -> "DataSet":
        return replace(self, train=self.train.to(device), val=self.val.to(device))

    def prepare(self, inputs: Tensor, dtype: torch.dtype) -> Tensor:
        """Return network input: images normalized and numbers as they are, of `dtype`; tokens int64."""
        match self.form.kind:
            case "images":
                mean, std = (_by_channel(part, dtype, inputs.device) for part in (self.facts.mean, self.facts.std))
                return (inputs.to(dtype) / self.facts.scale - mean) / std
            case "numbers":
                return inputs.to(dtype)
            case "tokens":
                return inputs.long()


@cache  # copied to the device once: each copy from the host would wait for it
def _by_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)
