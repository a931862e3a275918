"""A fully connected network with tanh, smooth everywhere: for the study of sharpness (Cohen et al. 2021)."""

from torch import Tensor, nn


class MLP(nn.Module):
    """Two hidden layers of `width` units. Input (B, ...) of `features` numbers a sample, output (B, outputs).

    The initialization is torch's own, as in the study's code.
    """

    def __init__(self, width: int, features: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, width),
            nn.Tanh(),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, outputs),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layers(inputs)
        return outputs
