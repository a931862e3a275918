"""DenseNet for small images, as in the paper's code: a bare 3x3 stem, growth 32, compression one half."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fbmon.train.models.convolution import Convolution

_BOTTLENECK = 4


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1 convolution, then the same with 3x3; the output is concatenated to the input."""

    def __init__(self, channels_in: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, _BOTTLENECK * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_BOTTLENECK * growth)
        self.conv2 = Convolution(_BOTTLENECK * growth, growth)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv1(torch.relu_(self.bn1(features)))
        return torch.cat([features, self.conv2(torch.relu_(self.bn2(inner)))], 1)


class DenseNet(nn.Module):
    """Dense blocks of `depths` layers with halving transitions between them; logits (B, classes).

    `depths` (6, 12, 24, 16) with stem 64 and growth 32 make DenseNet-121, 6,956,298 parameters for 3 channels and 10
    classes. Convolutions start as Kaiming normal over fan-in.
    """

    def __init__(self, depths: Sequence[int], width: int, channels: int, classes: int) -> None:
        super().__init__()
        growth = width // 2
        self.stem = Convolution(channels, width)
        layers: list[nn.Module] = []
        for number, depth in enumerate(depths):
            for _ in range(depth):
                layers.append(DenseLayer(width, growth))
                width += growth
            if number < len(depths) - 1:
                layers.append(_transition(width, width // 2))
                width //= 2
        self.layers = nn.Sequential(*layers)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu_(self.bn(self.layers(self.stem(images))))
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits


def _transition(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels_in), nn.ReLU(inplace=True), nn.Conv2d(channels_in, channels, 1, bias=False),
        nn.AvgPool2d(2, 2),
    )  # fmt: skip
