"""make_model(): the network of a recipe."""

from typing import assert_never

from torch import nn

from fbmon.recipe import Model
from fbmon.train.models.resnet import ResNet


def make_model(wanted: Model, channels: int, classes: int) -> nn.Module:
    """A freshly initialized network for images of `channels` channels; takes torch's global random generator."""
    match wanted.name:
        case "resnet8":
            return ResNet((1, 1, 1), wanted.width, channels, classes)
        case "resnet18":
            return ResNet((2, 2, 2, 2), wanted.width, channels, classes)
        case _:
            assert_never(wanted.name)
