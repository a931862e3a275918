"""Residual networks for small images, as in the paper's code (models/resnets.py: stem "CIFAR", shortcut "C")."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; where the shape changes, the shortcut averages, then projects."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride, stride),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, images: Tensor) -> Tensor:
        inner = torch.relu_(self.bn1(self.conv1(images)))
        inner = self.bn2(self.conv2(inner))
        return torch.relu_(inner + self.downsample(images))


class ResNet(nn.Module):
    """A 3x3 stem without pooling, stages of doubling width, global average pooling, one linear layer.

    Input (B, channels, H, W), output logits (B, classes). With `depths` (2, 2, 2, 2) and width 64 this is ResNet-18,
    11,173,962 parameters for 3 channels and 10 classes. The last batch norm of a block starts at 1, not 0: the paper's
    configuration asks for 0 under a misspelt key, so its published numbers were trained with 1.
    """

    def __init__(self, depths: Sequence[int], width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        stages = []
        channels_in = width
        for number, depth in enumerate(depths):
            channels_out = width * 2**number
            blocks = [BasicBlock(channels_in, channels_out, 1 if number == 0 else 2)]
            blocks += [BasicBlock(channels_out, channels_out, 1) for _ in range(depth - 1)]
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
