"""The work given to an engine, and the interface of engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fbmon.train.mean.mean import Mean
from fbmon.train.objective.regularize import Gradient, Regularizer
from fbmon.train.step_plan import Update


class CaptureError(Exception):
    """A failure to capture the work of a block; nothing of the pass has been computed."""


@dataclass(frozen=True)
class Pass:
    """The computation of an update's blocks at the present weights."""

    update: Update
    mean: Mean
    weights: Sequence[float]  # of each block in the mean
    regularizer: Regularizer | None = None
    full: Gradient | None = None  # the full gradient, where the regularizer needs it


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
