"""Random shifts and flips against a slow reference that shares no code with them."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from fbmon.train.data.augment import augment, random_bits

MASK = 0xFFFFFFFF
seeds = st.integers(0, 2**63 - 1)
steps = st.integers(0, 2**31)
numbers = st.lists(st.integers(0, 2**31), min_size=1, max_size=20)


def finalize(bits: int) -> int:
    """MurmurHash3's fmix32."""
    bits ^= bits >> 16
    bits = bits * 0x85EBCA6B & MASK
    bits ^= bits >> 13
    bits = bits * 0xC2B2AE35 & MASK
    return bits ^ bits >> 16


def slow_bits(seed: int, step: int, image: int, draw: int) -> int:
    low = finalize(seed & MASK)
    if seed > MASK:
        low = finalize(low ^ seed >> 32)
    return finalize(finalize(finalize(low ^ step) ^ image) ^ draw)


def slow_augment(images: Tensor, of: list[int], how: str, seed: int, step: int) -> NDArray[np.uint8]:
    pad = {"shift": 1, "crop_flip": 4}[how]
    moved = []
    for picture, image in zip(images.numpy(), of, strict=True):
        down, right, flip = (slow_bits(seed, step, image, draw) for draw in range(3))
        padded = np.pad(picture, ((0, 0), (pad, pad), (pad, pad)))
        top, left = down % (2 * pad + 1), right % (2 * pad + 1)
        cropped = padded[:, top : top + picture.shape[1], left : left + picture.shape[2]]
        moved.append(cropped[:, :, ::-1] if how == "crop_flip" and flip % 2 else cropped)
    return np.stack(moved)


def pictures(count: int, channels: int = 3, side: int = 32) -> Tensor:
    return torch.from_numpy(np.random.RandomState(0).randint(1, 256, (count, channels, side, side)).astype(np.uint8))


@pytest.mark.parametrize(("bits", "hashed"), [(0, 0), (1, 0x514E28B7), (0xFFFFFFFF, 0x81F16F39)])
def test_the_reference_is_murmurhash3(bits: int, hashed: int) -> None:
    assert finalize(bits) == hashed


@settings(deadline=None, max_examples=150)
@given(seeds, steps, numbers, st.integers(0, 3))
def test_the_bits_are_those_of_plain_integer_arithmetic(seed: int, step: int, of: list[int], draw: int) -> None:
    bits = random_bits(seed, step, torch.tensor(of), draw).tolist()
    assert bits == [slow_bits(seed, step, image, draw) for image in of]


@settings(deadline=None, max_examples=40)
@given(seeds, steps, numbers, st.sampled_from(["shift", "crop_flip"]), st.sampled_from([(1, 8), (3, 32)]))
def test_images_are_moved_as_the_slow_reference_moves_them(
    seed: int, step: int, of: list[int], how: Literal["shift", "crop_flip"], shape: tuple[int, int]
) -> None:
    images = pictures(len(of), *shape)
    moved = augment(images, torch.tensor(of), how, seed, step)
    assert moved.dtype == torch.uint8
    np.testing.assert_array_equal(moved.numpy(), slow_augment(images, of, how, seed, step))


def test_an_image_moves_the_same_in_whatever_company_and_order() -> None:
    images, of = pictures(64), torch.arange(64)
    together = augment(images, of, "crop_flip", seed=3, step=7)
    mixed = torch.from_numpy(np.random.RandomState(1).permutation(64))
    torch.testing.assert_close(augment(images[mixed], of[mixed], "crop_flip", 3, 7), together[mixed], rtol=0, atol=0)
    alone = torch.cat([augment(images[k : k + 1], of[k : k + 1], "crop_flip", 3, 7) for k in range(64)])
    torch.testing.assert_close(alone, together, rtol=0, atol=0)
    for seed, step in ((3, 8), (4, 7)):
        assert not torch.equal(augment(images, of, "crop_flip", seed, step), together)


def test_without_augmentation_the_images_stay_as_they_are() -> None:
    images = pictures(4)
    assert torch.equal(augment(images, torch.arange(4), "none", seed=1, step=1), images)


@pytest.mark.parametrize("along", ["images", "steps"])
def test_shifts_and_flips_are_uniform_and_independent(along: str) -> None:
    """All 9 x 9 x 2 ways to move an image, equally often: chi-square with 161 degrees of freedom, mean 161, sd 18."""
    if along == "images":
        draws = [random_bits(0, 1, torch.arange(40_000), draw) for draw in range(3)]
    else:
        one = torch.tensor([17])
        draws = [torch.cat([random_bits(0, step, one, draw) for step in range(4_000)]) for draw in range(3)]
    down, right, flip = draws[0] % 9, draws[1] % 9, draws[2] % 2
    counts = torch.bincount((down * 9 + right) * 2 + flip, minlength=162).double()
    expected = len(down) / 162
    assert float(((counts - expected).square() / expected).sum()) < 161 + 4 * 18
