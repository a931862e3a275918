"""The exact mean: no order, no rounding that float32 could feel, also when the gradient grows or shrinks at once."""

import math

import pytest
import torch
from torch import Tensor

from fbmon.train.mean.mean import ExactMean, make_mean, weights

SHAPES = ((30, 20), (7,), (1,))
BLOCKS = 40
SHARE = 1 / BLOCKS


def parameters(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [torch.zeros(shape, dtype=dtype) for shape in SHAPES]


def gradients(scale: float, seed: int, dtype: torch.dtype = torch.float32) -> list[list[Tensor]]:
    """Entries over some ten binary commands of magnitude, like those of a network."""
    generator = torch.Generator().manual_seed(seed)

    def entries(shape: tuple[int, ...]) -> Tensor:
        normal = torch.randn((2, *shape), generator=generator, dtype=dtype)
        return scale * normal[0] * torch.exp(2 * normal[1])

    return [[entries(shape) for shape in SHAPES] for _ in range(BLOCKS)]


def mean(exact: ExactMean, blocks: list[list[Tensor]]) -> tuple[list[Tensor], int]:
    """The mean, and how often the pass was repeated."""
    for repeated in range(3):
        exact.start()
        for block in blocks:
            exact.add(block, SHARE)
        result = exact.finish()
        if exact.is_good():
            return result, repeated
        exact.adapt()
    raise AssertionError("a repeated pass must be good")


def test_the_exact_mean_is_the_float32_nearest_to_the_true_sum_also_when_the_gradient_jumps() -> None:
    exact = ExactMean(parameters(), BLOCKS)
    repeats = []
    for step, scale in enumerate((1.0, 1.0, 1000.0, 1000.0, 1.0, 1e-6, 0.0, 1e-6)):
        blocks = gradients(scale, step)
        result, repeated = mean(exact, blocks)
        repeats.append(repeated)
        for number, part in enumerate(result):
            terms = torch.stack([block[number].reshape(-1).double() * SHARE for block in blocks], 1)
            sums = torch.tensor([math.fsum(row) for row in terms.tolist()], dtype=torch.float64)
            ulp = sums.abs().max() * 2.0**-40
            assert ((part.reshape(-1).double() - sums).abs() <= ulp + sums.abs() * 2.0**-24).all()
    assert repeats == [1, 0, 1, 0, 1, 1, 0, 0]


def test_of_float64_gradients_it_is_the_float64_nearest_to_the_true_sum() -> None:
    exact = ExactMean(parameters(torch.float64), BLOCKS)
    for step, scale in enumerate((1.0, 1000.0, 1e-6)):
        blocks = gradients(scale, step, torch.float64)
        result, _ = mean(exact, blocks)
        for number, part in enumerate(result):
            terms = torch.stack([block[number].reshape(-1) * SHARE for block in blocks], 1)
            assert part.reshape(-1).tolist() == [math.fsum(row) for row in terms.tolist()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e9])
def test_the_exact_mean_has_the_same_bits_in_any_order_and_over_any_number_of_ranks(
    scale: float, dtype: torch.dtype
) -> None:
    blocks = gradients(scale, 1, dtype)
    forward, _ = mean(ExactMean(parameters(dtype), BLOCKS), blocks)
    backward, _ = mean(ExactMean(parameters(dtype), BLOCKS), blocks[::-1])
    assert all(map(torch.equal, forward, backward))

    whole = ExactMean(parameters(dtype), BLOCKS)
    mean(whole, blocks)
    total = torch.zeros_like(whole.total)
    for rank in range(3):
        shard = ExactMean(parameters(dtype), BLOCKS)
        shard.follow(whole)
        for block in blocks[rank::3]:
            shard.add(block, SHARE)
        total += shard.total
    assert torch.equal(total, whole.total)


def test_a_gradient_that_is_not_finite_passes_through() -> None:
    exact = ExactMean(parameters(), BLOCKS)
    blocks = gradients(1.0, seed=2)
    mean(exact, blocks)
    blocks[3][0][0, 0] = torch.nan
    result, repeated = mean(exact, blocks)
    assert repeated == 0
    assert result[0][0, 0].isnan()


def test_the_fast_mean_agrees_to_float32() -> None:
    blocks = gradients(1.0, seed=3)
    exact, _ = mean(ExactMean(parameters(), BLOCKS), blocks)
    fast = make_mean("fp32", parameters(), BLOCKS)
    fast.start()
    for block in blocks:
        fast.add(block, SHARE)
    for one, other in zip(exact, fast.finish(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


def test_blocks_count_by_their_images() -> None:
    assert weights("exact", [8, 8, 6]) == weights("fp32", [8, 8, 6]) == [8 / 22, 8 / 22, 6 / 22]


def test_the_legacy_mean_weighs_as_the_authors_code_did_until_2023() -> None:
    """Total weight 0.6326 for 390 blocks, and the last block 2.71 times the first."""
    counts = weights("legacy", [128] * 390)
    assert sum(counts) == pytest.approx(0.6326, abs=1e-4)
    assert counts[-1] / counts[0] == pytest.approx(2.71, abs=0.01)
    average = 0.0  # as that code computed it
    for value in (3.0, 1.0, 2.0):
        average += (value - average) / 3
    found = math.fsum(weight * value for weight, value in zip(weights("legacy", [5, 5, 5]), (3, 1, 2), strict=True))
    assert found == pytest.approx(average, rel=1e-14)
