"""Questions about a minimum: the loss at a point near it, how far it stays low, how high it is just uphill."""

from collections.abc import Mapping
from typing import Literal

import msgspec


class Setting(msgspec.Struct, frozen=True):
    """The weights, the images and the way of looking; every answer is to a probe in one setting.

    `data`: the training images, not augmented, or the validation images. `statistics`: batch norm in evaluation mode
    with the statistics that the "run" left, or with "fresh" ones: their mean over the training blocks at these weights.
    """

    step: int
    data: Literal["train", "val"] = "train"
    statistics: Literal["run", "fresh"] = "run"
    seed: int = 0  # of the random directions
    towards: str = ""  # another checkpoint's folder: the only direction is then the straight line to it


class Point(msgspec.Struct, frozen=True, tag="point"):
    """Loss and accuracy at the weights moved `at[i]` times direction `directions[i]`."""

    directions: tuple[int, ...]
    at: tuple[float, ...]


class Radius(msgspec.Struct, frozen=True, tag="radius"):
    """The distance along a direction at which the loss first exceeds `threshold`."""

    direction: int
    threshold: float


class Ascent(msgspec.Struct, frozen=True, tag="ascent"):
    """Loss and accuracy `rho` uphill: at the weights moved along their gradient by that L2 length (SAM's step)."""

    rho: float


Probe = Point | Radius | Ascent
Known = Mapping[Probe, Mapping[str, float | None]]  # the answers so far


class Answer(msgspec.Struct, frozen=True):
    """The answer to a probe; `values` has loss and accuracy, or radius. A loss that is not finite is None."""

    probe: Probe
    values: dict[str, float | None]


class Task(msgspec.Struct, frozen=True):
    """The probes in one setting of one run that a process is to answer."""

    folder: str
    setting: Setting
    probes: tuple[Probe, ...]
