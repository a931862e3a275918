"""Convolutions over 3x3 pixels, which a CPU computes faster where small maps of several images lie side by side."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

_BESIDE = 16  # images: as many rows as a tile of AMX has, so that maps of any width fill whole tiles
_HAS_AMX = torch.cpu._is_amx_tile_supported()
_HAS_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"


class Convolution(nn.Conv2d):
    """A 3x3 convolution with a border of zeros, in all but the last bits an `nn.Conv2d`."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1, *, bias: bool = False) -> None:
        super().__init__(channels_in, channels, 3, stride, padding=1, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        if _is_faster_side_by_side(images, self.stride[0]):
            return side_by_side(images, self.weight, self.bias, self.stride[0])
        return super().forward(images)


def side_by_side(images: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolve images (B, C, H, W) in rows of 16 images with columns of zeros between them.

    oneDNN multiplies the pixels of a row together, and those of one small map are too few to keep a core busy. The
    columns cost a quarter more arithmetic where maps are four pixels wide.
    """
    count, channels, height, width = images.shape
    beside, kept = min(count, _BESIDE), (width - 1) // stride + 1
    gap = stride - width % stride  # one column of zeros at least, and the next map begins where the kernel stops
    padded = pad(images.permute(0, 2, 3, 1), (0, 0, 0, gap, 0, 0, 0, -count % beside))  # (images, H, W + gap, C)
    rows = padded.reshape(-1, beside, height, width + gap, channels).transpose(1, 2).flatten(2, 3)
    convolved = conv2d(rows.permute(0, 3, 1, 2), weight, bias, stride, padding=1).permute(0, 2, 3, 1)
    maps = convolved.reshape(*convolved.shape[:2], beside, -1, len(weight))[:, :, :, :kept]
    return maps.transpose(1, 2).flatten(0, 1)[:count].permute(0, 3, 1, 2)


def _is_faster_side_by_side(images: Tensor, stride: int) -> bool:
    """Apply a rule from measurements (docs/performance.md), not a timing: the last bits depend on it."""
    if images.device.type != "cpu":
        return False
    channels, width = images.shape[1], (images.shape[3] - 1) // stride + 1
    if images.dtype == torch.bfloat16:
        return _HAS_AMX and channels >= 64 and width <= 8
    return images.dtype == torch.float32 and _HAS_AVX512 and channels >= 256 and width <= 4
