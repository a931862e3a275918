"""Random shifts and flips as a pure function of (seed, step, image): no state, the same on every device."""

from typing import Literal, TypeVar

import torch
from torch import Tensor

_PAD = {"shift": 1, "crop_flip": 4}  # pixels; 4 as in the paper's random crop of 32x32 images
_MASK = 0xFFFFFFFF

_Bits = TypeVar("_Bits", int, Tensor)


def random_bits(seed: int, step: int | Tensor, images: Tensor, draw: int) -> Tensor:
    """Return 32 random bits per image as int64 (B,), a hash of (seed, step, image, draw).

    `images` are the numbers of the images in the data set, int64 (B,). Each of the four is mixed in by one round of
    MurmurHash3's 32-bit finalizer, whose integer arithmetic is the same on every device. A step on
    the device is int64 (), below 2^32.
    """
    mixed = _mix_integer(seed) ^ step
    mixed = _mix(mixed) if isinstance(mixed, Tensor) else _mix_integer(mixed)
    return _mix(_mix(images ^ mixed) ^ draw)


def augment(
    images: Tensor, numbers: Tensor, how: Literal["none", "shift", "crop_flip"], seed: int, step: int | Tensor
) -> Tensor:
    """Move the images of this step, uint8 (B, C, H, W), by up to 1 pixel ("shift") or 4 ("crop_flip"), padding with 0.

    "crop_flip" also mirrors every other image, as torchvision's RandomCrop(32, padding=4) and RandomHorizontalFlip do.
    """
    if how == "none":
        return images
    pad = _PAD[how]
    down = random_bits(seed, step, numbers, 0) % (2 * pad + 1)
    right = random_bits(seed, step, numbers, 1) % (2 * pad + 1)
    flip = random_bits(seed, step, numbers, 2) % 2 == 1 if how == "crop_flip" else down < 0
    return _crop(images, pad, down, right, flip)


def _crop(images: Tensor, pad: int, down: Tensor, right: Tensor, flip: Tensor) -> Tensor:
    count, channels, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    columns = torch.arange(width, device=images.device).expand(count, width)
    columns = torch.where(flip[:, None], width - 1 - columns, columns) + right[:, None]
    rows = torch.arange(height, device=images.device) + down[:, None]
    places = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).view(count, 1, -1)
    cropped = padded.view(count, channels, -1).gather(2, places.expand(-1, channels, -1))
    return cropped.view(count, channels, height, width)


def _mix(bits: _Bits) -> _Bits:
    bits = bits & _MASK
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & _MASK
    bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & _MASK
    return bits ^ (bits >> 16)


def _mix_integer(value: int) -> int:
    """Return `_mix` of a number that may have more than 32 bits: the upper ones are folded in."""
    low = _mix(value)
    return low if value <= _MASK else _mix_integer(low ^ (value >> 32))
