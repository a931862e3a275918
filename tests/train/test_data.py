"""The data sets, how they are cut into blocks, and what is said when one is not to be had."""

import errno
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered
from fbmon.recipe import Data, Gradient
from fbmon.train.data import DataSet, blocks, load

CPU = torch.device("cpu")
ARCHIVE, UNPACKED = "cifar-10-python.tar.gz", "cifar-10-batches-py"


def digits(limit: int | None = None, val_limit: int | None = None) -> DataSet:
    return load(Data(dataset="digits", limit=limit, val_limit=val_limit), None, CPU, lambda _: None)


def cut(images: int, gradient: Gradient, seed: int = 0, step: int = 1) -> list[list[int]]:
    return [numbers.tolist() for numbers in blocks(images, gradient, seed, step, CPU)]


def test_the_digits_are_1437_and_360_pictures_of_8_by_8_with_all_ten_labels() -> None:
    data = digits()
    assert (data.train.pictures.shape, data.val.pictures.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    for images in (data.train, data.val):
        assert (images.pictures.dtype, images.labels.dtype) == (torch.uint8, torch.int64)
        assert (int(images.pictures.min()), int(images.pictures.max())) == (0, 16)
        assert len(images) == len(images.labels)
    # The whole data set has 174 to 183 of each digit; a split in file order would not share them out evenly.
    counts = [torch.bincount(images.labels, minlength=10) for images in (data.train, data.val)]
    assert (counts[0] + counts[1]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert int(counts[1].min()) >= 25
    assert (data.classes, data.scale) == (10, 16.0)


def test_no_validation_picture_is_among_the_training_pictures() -> None:
    data = digits()
    train = {picture.numpy().tobytes() for picture in data.train.pictures}
    assert len(train) == 1437
    assert not any(picture.numpy().tobytes() in train for picture in data.val.pictures)


def test_the_network_sees_digits_of_mean_zero_and_deviation_one() -> None:
    data = digits()
    seen = data.normalize(data.train.pictures, torch.float64)
    assert float(seen.mean()) == pytest.approx(0, abs=0.01)
    assert float(seen.std()) == pytest.approx(1, abs=0.01)


def test_a_limit_takes_the_first_images() -> None:
    few, all_ = digits(limit=10, val_limit=5), digits()
    assert torch.equal(few.train.pictures, all_.train.pictures[:10])
    assert torch.equal(few.val.labels, all_.val.labels[:5])
    assert len(digits(limit=10**9).train) == 1437


def test_blocks_in_fixed_order_are_cut_as_they_come() -> None:
    assert cut(7, Gradient(block=3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert cut(7, Gradient(block=3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert cut(6, Gradient(block=3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert cut(2, Gradient(block=3, drop_last=True)) == [[0, 1]]


@settings(deadline=None, max_examples=80)
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


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every request goes to a proxy that is not there."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "")
    urllib.request.install_opener(urllib.request.build_opener())
    yield
    monkeypatch.undo()
    urllib.request.install_opener(urllib.request.build_opener())


def missing_cifar10(root: Path) -> tuple[DataError, list[Event]]:
    events: list[Event] = []
    with pytest.raises(DataError) as raised:
        load(Data(dataset="cifar10"), root, CPU, events.append)
    return raised.value, events


@pytest.mark.usefixtures("no_network")
def test_cifar10_that_cannot_be_downloaded_is_told_with_what_to_put_where_and_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "images"
    error, events = missing_cifar10(root)
    refused = f"<urlopen error [Errno {errno.ECONNREFUSED}] Connection refused>"
    assert error.message == f"CIFAR-10 is not in {root} and could not be downloaded: {refused}"
    assert error.hint == (
        "put cifar-10-python.tar.gz (MD5 c58f30108f718f92721af3b95e74349a) "
        f"or the unpacked folder cifar-10-batches-py into {root}"
    )
    assert events == [PhaseEntered("downloading data")]
    assert list(root.iterdir()) == []


@pytest.mark.usefixtures("no_network")
def test_damaged_files_laid_there_by_hand_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(b"half an archive")
    (tmp_path / UNPACKED).mkdir()
    (tmp_path / UNPACKED / "data_batch_1").write_bytes(b"half a batch")
    error, _ = missing_cifar10(tmp_path)
    assert error.message.startswith(f"CIFAR-10 is not in {tmp_path} and could not be downloaded: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [UNPACKED, ARCHIVE]
    assert (tmp_path / ARCHIVE).read_bytes() == b"half an archive"
    assert (tmp_path / UNPACKED / "data_batch_1").read_bytes() == b"half a batch"


@pytest.mark.usefixtures("no_network")
def test_a_folder_for_images_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error, _ = missing_cifar10(tmp_path / "file" / "images")
    assert "Not a directory" in error.message
