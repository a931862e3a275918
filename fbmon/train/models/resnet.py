"""Residual networks for small images, as in the paper's code (models/resnets.py: stem "CIFAR", shortcut "C")."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fbmon.train.models.convolution import Convolution


def shortcut(channels_in: int, channels: int, stride: int) -> nn.Module:
    """Make the identity or, if the shape changes, an average over stride x stride pixels and a projection."""
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(
        nn.AvgPool2d(stride, stride, ceil_mode=True),
        nn.Conv2d(channels_in, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Convolution(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(channels_in, width, stride)

    def forward(self, images: Tensor) -> Tensor:
        inner = torch.relu_(self.bn1(self.conv1(images)))
        inner = self.bn2(self.conv2(inner))
        return torch.relu_(inner + self.downsample(images))


class Bottleneck(nn.Module):
    """Three convolutions, 1x1, 3x3 and 1x1, beside a shortcut; the 3x3 one has the stride ("v1.5")."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels = width * self.expansion
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Convolution(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(channels_in, channels, stride)

    def forward(self, images: Tensor) -> Tensor:
        inner = torch.relu_(self.bn1(self.conv1(images)))
        inner = torch.relu_(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        return torch.relu_(inner + self.downsample(images))


class ResNet(nn.Module):
    """A 3x3 stem without pooling, stages of doubling width, global average pooling, one linear layer.

    Input (B, channels, H, W), output logits (B, classes). `depths` (2, 2, 2, 2) of BasicBlock with width 64 make
    ResNet-18, 11,173,962 parameters for 3 channels and 10 classes. The last batch norm of a block starts at 1, not 0:
    the paper's configuration asks for 0 under a misspelt key, so its published numbers were trained with 1.
    """

    def __init__(
        self, block: type[BasicBlock | Bottleneck], depths: Sequence[int], width: int, channels: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(Convolution(channels, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        stages = []
        channels_in = width
        for number, depth in enumerate(depths):
            stage_width = width * 2**number
            channels_out = stage_width * block.expansion
            blocks = [block(channels_in, stage_width, 1 if number == 0 else 2)]
            blocks += [block(channels_out, stage_width, 1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            channels_in = channels_out
        self.layers = nn.Sequential(*stages)
        self.fc = nn.Linear(channels_in, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = self.layers(self.stem(images))
        # AdaptiveAvgPool2d has no deterministic backward on CUDA; this is the same mean.
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits
