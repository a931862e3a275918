"""The network of a recipe: `make_model`."""

from typing import assert_never, cast

from torch import nn

from fbmon.recipe import Model
from fbmon.recipe.data_sets import Form
from fbmon.recipe.schema import NetworkName
from fbmon.train.models.densenet import DenseNet
from fbmon.train.models.foreign import load_network
from fbmon.train.models.mlp import MLP
from fbmon.train.models.resnet import BasicBlock, Bottleneck, ResNet
from fbmon.train.models.vgg import VGG


def make_model(section: Model, form: Form) -> nn.Module:
    """Make a freshly initialized network for samples of a form, with torch's global random generator.

    Raises UsageError for another's network that cannot be made.
    """
    if section.reference:
        return load_network(section.reference, section, form)
    channels, classes = form.shape[0], form.output[0]
    width = section.width or 0
    name = cast(NetworkName, section.name)
    match name:
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
            return MLP(width, form.features, classes)
        case _:
            assert_never(name)


def is_own(model: nn.Module) -> bool:
    """Say whether a network is one of fbmon's own, whose operations are known."""
    return isinstance(model, ResNet | DenseNet | VGG | MLP)
