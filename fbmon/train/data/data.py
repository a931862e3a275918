"""A data set as tensors on the device: training and validation samples, and how an input goes into a network."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor

from fbmon.recipe.data_sets import DataSetFacts, Form
from fbmon.train.data.stream import Stream


@dataclass(frozen=True)
class Samples:
    """Inputs (N, ...) and targets (N, ...); on the device, or on the host where inputs are a stream.

    Inputs are images uint8 (N, C, H, W), floating-point numbers, or tokens, whole; targets are classes int64 or
    floating-point numbers.
    """

    inputs: Tensor | Stream
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        return self.targets.device

    def first(self, limit: int | None) -> "Samples":
        return self if limit is None else self.only(slice(limit))

    def only(self, numbers: Tensor | slice) -> "Samples":
        inputs = self.inputs.only(numbers) if isinstance(self.inputs, Stream) else self.inputs[numbers]
        return Samples(inputs, self.targets[numbers])

    def split(self, size: int) -> list[Tensor]:
        """Return the numbers of the samples in parts of `size`, int64."""
        return list(torch.split(torch.arange(len(self), device=self.device), size))

    def on(self, device: torch.device) -> "Samples":
        """Return the samples as they are read for a network on a device: there, if they are no stream."""
        if isinstance(self.inputs, Stream):
            return Samples(self.inputs.pinned() if device.type == "cuda" else self.inputs, self.targets)
        return Samples(self.inputs.to(device), self.targets.to(device))

    def streamed(self) -> "Samples":
        return self if isinstance(self.inputs, Stream) else Samples(Stream.of(self.inputs), self.targets)

    def expect(self, blocks: Sequence[Tensor]) -> None:
        """Name the blocks that will be asked for next: a stream reads them ahead."""
        if isinstance(self.inputs, Stream):
            self.inputs.expect(blocks)


@dataclass(frozen=True)
class DataSet:
    """Training and validation samples, and what is known of them."""

    train: Samples
    val: Samples
    facts: DataSetFacts
    device: torch.device = field(default=torch.device("cpu"))  # of the network
    digest: str = ""  # the SHA-256 of the user's own samples

    @property
    def form(self) -> Form:
        return self.facts.form

    @property
    def is_streamed(self) -> bool:
        return isinstance(self.train.inputs, Stream)

    def streamed(self) -> "DataSet":
        """Return the data with their inputs left on the host."""
        return replace(self, train=self.train.streamed(), val=self.val.streamed())

    def on(self, device: torch.device) -> "DataSet":
        """Return the data for a network on a device."""
        return replace(self, train=self.train.on(device), val=self.val.on(device), device=device)

    def read(self, samples: Samples, numbers: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return some samples as network input (B, ...) and targets (B, ...)."""
        return self.prepare(self.pick(samples.inputs, numbers), dtype), self.pick(samples.targets, numbers)

    def pick(self, values: Tensor | Stream, numbers: Tensor) -> Tensor:
        """Return rows of inputs or targets on the network's device."""
        return values[numbers].to(self.device, non_blocking=True)

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
