"""A small vision transformer (Dosovitskiy et al. 2021) with layer norm and dropout."""

import torch
from torch import Tensor, nn


class Vit(nn.Module):
    """A classifier of square images (B, channels, side, side), cut into patches of `patch` times `patch` pixels."""

    def __init__(
        self,
        classes: int,
        channels: int,
        side: int,
        patch: int = 2,
        width: int = 32,
        depth: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.cut = nn.Conv2d(channels, width, patch, stride=patch)
        self.place = nn.Parameter(torch.randn(1, (side // patch) ** 2, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.cut(images).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.layers(patches + self.place).mean(1))
        return logits
