"""How a data set is cut into blocks, and the fixed, enlarged one that its copies make."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.recipe import Data, Gradient
from fbmon.recipe.data_sets import DataSetFacts, image_form
from fbmon.train.data.blocks import batch, blocks
from fbmon.train.data.data import DataSet, Samples

CPU = torch.device("cpu")
PLAIN = Data(dataset="digits")


def cut(images: int, gradient: Gradient, seed: int = 0, step: int = 1, data: Data = PLAIN) -> list[list[int]]:
    return [numbers.tolist() for numbers in blocks(images, data, gradient, seed, step, CPU)]


def test_blocks_in_fixed_order_are_cut_as_they_come() -> None:
    assert cut(7, Gradient(block=3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert cut(7, Gradient(block=3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert cut(6, Gradient(block=3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert cut(2, Gradient(block=3, drop_last=True)) == [[0, 1]]


@settings(max_examples=80)
@given(
    images=st.integers(1, 200), block=st.integers(1, 250), drop_last=st.booleans(),
    seed=st.integers(0, 2**63 - 1), step=st.integers(1, 10**6),
)  # fmt: skip
def test_shuffled_blocks_use_every_image_once_and_have_the_sizes_of_fixed_ones(
    images: int, block: int, drop_last: bool, seed: int, step: int
) -> None:
    shuffled = cut(images, Gradient(block=block, order="shuffled", drop_last=drop_last), seed, step)
    fixed = cut(images, Gradient(block=block, drop_last=drop_last), seed, step)
    assert [len(numbers) for numbers in shuffled] == [len(numbers) for numbers in fixed]
    used = [number for numbers in shuffled for number in numbers]
    assert len(set(used)) == len(used)
    assert set(used) <= set(range(images))
    assert len(used) == images or drop_last


def test_the_shuffled_order_is_a_function_of_seed_and_step() -> None:
    gradient = Gradient(block=10, order="shuffled")
    order = cut(100, gradient, seed=0, step=1)
    assert cut(100, gradient, seed=0, step=1) == order
    assert cut(100, gradient, seed=0, step=2) != order
    assert cut(100, gradient, seed=1, step=1) != order
    assert order[0] != list(range(10))


COPIES = Data(dataset="cifar10", augment="crop_flip", copies=3)


def four_images() -> DataSet:
    pictures = torch.randint(256, (4, 1, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images = Samples(pictures, torch.tensor([5, 6, 7, 8]))
    return DataSet(images, images, DataSetFacts("some", 4, 4, image_form(1, 1, 10), 255.0, (0.0,), (1.0,)))


def test_copies_make_a_larger_data_set_of_which_a_step_sees_all_or_one_copy_in_turn() -> None:
    assert cut(4, Gradient(block=8), data=COPIES) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11]]
    in_turn = COPIES.model_copy(update={"copy_per_step": True})
    seen = [cut(4, Gradient(block=4), step=step, data=in_turn) for step in (1, 2, 3, 4)]
    assert seen == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9, 10, 11]], [[0, 1, 2, 3]]]
    shuffled = cut(4, Gradient(block=4, order="shuffled"), step=2, data=in_turn)
    assert sorted(shuffled[0]) == [4, 5, 6, 7]


def test_every_copy_is_another_augmentation_and_the_same_at_every_step_and_in_any_block() -> None:
    data, numbers = four_images(), torch.arange(12)
    inputs, labels = batch(data, COPIES, numbers, seed=0, step=1, dtype=torch.float32)
    assert labels.tolist() == [5, 6, 7, 8] * 3
    later, _ = batch(data, COPIES, numbers[[7, 2]], seed=0, step=9, dtype=torch.float32)
    assert torch.equal(later, inputs[[7, 2]])
    assert not any(torch.equal(inputs[image], inputs[image + 4]) for image in range(8))
    other_seed, _ = batch(data, COPIES, numbers, seed=1, step=1, dtype=torch.float32)
    assert not torch.equal(other_seed, inputs)


def test_without_copies_images_are_augmented_anew_at_each_step() -> None:
    anew = Data(dataset="cifar10", augment="crop_flip")
    one, two = (batch(four_images(), anew, torch.arange(4), 0, step, torch.float32)[0] for step in (1, 2))
    assert not torch.equal(one, two)
