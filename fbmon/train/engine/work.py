"""The work that an engine is given, and what is asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fbmon.recipe import Penalty
from fbmon.train.mean.mean import Mean
from fbmon.train.objective.regularize import Gradient


class CaptureError(Exception):
    """The work of a block could not be recorded; nothing of the pass has been computed."""


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
    """Puts blocks through the network: `begin`, `add` for each block of this rank, `join`."""

    @property
    def name(self) -> str:
        """Return what a user is told of it; empty for the plain one."""

    def begin(self, work: Pass) -> None:
        """Make ready for a pass, whose mean and statistics have been started. Raises CaptureError."""

    def add(self, k: int, row: Tensor) -> None:
        """Block k: its gradient to the mean, its statistics to the running ones, what is told of it to `row`."""

    def join(self) -> None:
        """The rows and statistics are there for whoever comes next in the device's queue; also during a pass."""

    def finish(self) -> None:
        """All that has been added is there, and in the mean."""
