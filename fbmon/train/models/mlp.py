"""A fully connected network with tanh, smooth everywhere: for the study of sharpness (Cohen et al. 2021)."""

from torch import Tensor, nn


class MLP(nn.Module):
    """Two hidden layers of `width` units. Input (B, channels, side, side), output logits (B, classes).

    The initialization is torch's own, as in the study's code.
    """

    def __init__(self, width: int, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * side**2, width),
            nn.Tanh(),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits
