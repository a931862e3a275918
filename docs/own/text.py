"""Characters of a text made by a formula, and a transformer that says the next one."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def load(samples: int = 512, length: int = 32) -> dict[str, NDArray[np.uint8]]:
    """Return pieces of the text "0+0=0 0+1=1 ... 99+99=198 ", in an order that is always the same.

    Of each piece, x (N, length) has the characters and y (N, length) those that follow them, numbered by `ALPHABET`.
    """
    sums = [f"{a}+{b}={a + b} " for a in range(100) for b in range(100)]
    text = "".join(np.random.default_rng(0).permutation(sums))
    numbers = np.array([ALPHABET.index(character) for character in text], np.uint8)
    pieces = np.stack([numbers[start : start + length + 1] for start in range(0, samples * length, length)])
    return {"x": pieces[:, :-1], "y": pieces[:, 1:]}


ALPHABET = "0123456789+= "


class Transformer(nn.Module):
    """A causal transformer: of tokens (B, T), the logits (B, vocabulary, T) of those that follow."""

    def __init__(self, vocabulary: int, length: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)
        self.register_buffer("later", nn.Transformer.generate_square_subsequent_mask(length), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.layers(self.embed(tokens) + self.place, mask=self.later, is_causal=True)
        logits: Tensor = self.head(states).transpose(1, 2)
        return logits
