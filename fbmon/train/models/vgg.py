"""VGG-16 with batch norm for small images, as in the paper's code: one linear layer instead of three."""

from torch import Tensor, nn

from fbmon.train.models.convolution import Convolution

_WIDTHS = (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0)  # in units of the first width; 0 is a max-pool


class VGG(nn.Module):
    """Thirteen 3x3 convolutions with bias, batch norm and ReLU, five max-pools; logits (B, classes).

    With width 64 this is VGG-16, 14,728,266 parameters for 3 channels and 10 classes; the images are at least 32x32.
    """

    def __init__(self, width: int, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for units in _WIDTHS:
            if units == 0:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [Convolution(channels, width * units, bias=True), nn.BatchNorm2d(width * units)]
            layers.append(nn.ReLU(inplace=True))
            channels = width * units
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layers(images).mean((2, 3)))
        return logits
