"""The network of a recipe: `make_model`."""

from typing import assert_never

from torch import nn

from fbmon.recipe import Model
from fbmon.train.models.densenet import DenseNet
from fbmon.train.models.mlp import MLP
from fbmon.train.models.resnet import BasicBlock, Bottleneck, ResNet
from fbmon.train.models.vgg import VGG


def make_model(section: Model, channels: int, classes: int, side: int = 8) -> nn.Module:
    """Make a freshly initialized network for images of `channels` channels, with torch's global random generator.

    Only the fully connected network needs the `side` of the images, in pixels.
    """
    width = section.width
    match section.name:
        case "resnet8":
            return ResNet(BasicBlock, (1, 1, 1), width, channels, classes)
        case "resnet18":
            return ResNet(BasicBlock, (2, 2, 2, 2), width, channels, classes)
        case "resnet34":
            return ResNet(BasicBlock, (3, 4, 6, 3), width, channels, classes)
        case "resnet50":
            return ResNet(Bottleneck, (3, 4, 6, 3), width, channels, classes)
        case "resnet101":
            return ResNet(Bottleneck, (3, 4, 23, 3), width, channels, classes)
        case "resnet152":
            return ResNet(Bottleneck, (3, 8, 36, 3), width, channels, classes)
        case "densenet121":
            return DenseNet((6, 12, 24, 16), width, channels, classes)
        case "vgg16":
            return VGG(width, channels, classes)
        case "mlp":
            return MLP(width, channels, side, classes)
        case _:
            assert_never(section.name)
