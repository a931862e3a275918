"""The work given to an engine, and the interface of engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fbmon.recipe import Penalty
from fbmon.train.mean.mean import Mean
from fbmon.train.objective.regularize import Gradient


class CaptureError(Exception):
    """A failure to capture the work of a block; nothing of the pass has been computed."""


@dataclass(frozen=True)
class Pass:
    """The computation over some blocks at the present weights."""

    blocks: Sequence[Tensor]  # the numbers of the images of each
    weights: Sequence[float]  # of each in the mean
    step: int  # by which images are augmented
    rate: float  # the learning rate, which scales the penalty
    mean: Mean
    penalty: Penalty | None = None
    full: Gradient | None = None  # the full gradient, for a penalty with an `acc_strength`


class Engine(Protocol):
    """The interface that puts blocks through the network: `begin`, `add` for each block of this rank, `join`."""

    @property
    def name(self) -> str:
        """The engine's name for users; empty for the plain one."""

    def begin(self, work: Pass) -> None:
        """Prepare for a pass whose mean and statistics have been started. Raises CaptureError."""

    def add(self, k: int, row: Tensor) -> None:
        """Add block k: its gradient to the mean, its statistics to the running ones, its measures to `row`."""

    def join(self) -> None:
        """Make rows and statistics available to later work in the device's queue; also called during a pass."""

    def finish(self) -> None:
        """Complete the pass: all that has been added is computed, and in the mean."""
