"""The randomness of a network, dropout above all: the same numbers for the same seed, step and block, everywhere."""

import copy

import torch
from torch import Tensor, nn

from fbmon.train.data.augment import random_bits

_KNOWN = ("Dropout", "DropPath", "StochasticDepth", "RReLU", "DropBlock", "GaussianNoise")
_RATES = ("p", "drop_prob")
_DRAW = 4  # augmentation and the order of the blocks have the numbers below


def random_parts(model: nn.Module, images: Tensor) -> list[str]:
    """Return what makes a network random in training mode; empty if two passes over `images` (B, C, H, W) are the same.

    What no module's name tells is called "random numbers of its own".
    """
    twin = copy.deepcopy(model).train()
    with torch.no_grad():
        outputs = [_seeded(twin, images, seed) for seed in (0, 1)]
    if torch.equal(*outputs):
        return []
    names = {type(module).__name__ for module in model.modules() if _is_random(module)}
    return sorted(names) or ["random numbers of its own"]


def seed_block_(seed: int, step: int, numbers: Tensor) -> None:
    """Begin torch's random numbers anew for a pass over the block of the images with these numbers.

    A block is known by its first image: each pass over it at one step has the same random numbers, wherever it stands
    among the others.
    """
    torch.manual_seed(int(random_bits(seed, step, numbers[:1], _DRAW)))


def _seeded(model: nn.Module, images: Tensor, seed: int) -> Tensor:
    torch.manual_seed(seed)
    output: Tensor = model(images)
    return output


def _is_random(module: nn.Module) -> bool:
    rates = [rate for name in _RATES if isinstance(rate := getattr(module, name, None), float)]
    return type(module).__name__.startswith(_KNOWN) and (not rates or max(rates) > 0)
