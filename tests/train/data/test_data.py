"""The data sets, and what is said when one is not to be had."""

import errno
import hashlib
import pickle
import re
import struct
import sys
import threading
import types
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from io import BufferedIOBase
from pathlib import Path
from typing import Literal, get_args

import pytest
import torch

from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered, ProgressMade
from fbmon.ranks.heartbeat import Doing
from fbmon.recipe import DATA_SETS, Data
from fbmon.recipe.data_sets import DataSetName, image_form
from fbmon.train.data import download
from fbmon.train.data.data import DataSet
from fbmon.train.data.download import Download
from fbmon.train.data.load import load, load_in_turn
from fbmon.train.ranks.distribute import Ranks
from tests.serve import ARCHIVE, serving
from tests.shell import DEADLINE

CPU = torch.device("cpu")
UNPACKED = "cifar-10-batches-py"


def digits(limit: int | None = None, val_limit: int | None = None) -> DataSet:
    return load(Data(dataset="digits", limit=limit, val_limit=val_limit), None, CPU, lambda _: None)


def test_the_digits_are_1437_and_360_pictures_of_8_by_8_with_all_ten_labels() -> None:
    data = digits()
    assert (data.train.inputs[:].shape, data.val.inputs[:].shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    for images in (data.train, data.val):
        assert (images.inputs[:].dtype, images.targets.dtype) == (torch.uint8, torch.int64)
        assert (int(images.inputs[:].min()), int(images.inputs[:].max())) == (0, 16)
        assert len(images) == len(images.targets)
    # The whole data set has 174 to 183 of each digit; a split in file order would not share them out evenly.
    counts = [torch.bincount(images.targets, minlength=10) for images in (data.train, data.val)]
    assert (counts[0] + counts[1]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert int(counts[1].min()) >= 25
    assert (data.form.classes, data.facts.scale) == (10, 16.0)


@pytest.mark.parametrize("name", get_args(DataSetName))
def test_every_data_set_has_a_row_that_torchvision_agrees_with(name: DataSetName) -> None:
    import torchvision.datasets

    facts = DATA_SETS[name]
    assert len(facts.mean) == len(facts.std) == facts.form.shape[0]
    if facts.archive:
        assert hasattr(torchvision.datasets, facts.archive.torchvision)
        download = Download(facts.title, facts.archive)
        assert facts.archive.file in {path.name for path in download.downloads}
        assert {path.parts[0] for path in download.files} == {facts.archive.folder}
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in (download.files | download.downloads).values())
    else:
        data = load(Data(dataset=name), None, CPU, lambda _: None)
        assert (len(data.train), len(data.val), data.train.inputs[:].shape[1:]) == (
            facts.train,
            facts.val,
            facts.form.shape,
        )


def test_images_of_another_shape_than_the_row_promises_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SETS, "digits", replace(DATA_SETS["digits"], form=image_form(1, 28, 9)))
    with pytest.raises(
        DataError, match=r"digits has images of \(1, 28, 28\) and 9 classes; found .* \(1, 8, 8\) .* 0 to 9"
    ):
        digits()


def test_no_validation_picture_is_among_the_training_pictures() -> None:
    data = digits()
    train = {picture.numpy().tobytes() for picture in data.train.inputs[:]}
    assert len(train) == 1437
    assert not any(picture.numpy().tobytes() in train for picture in data.val.inputs[:])


def test_the_network_sees_digits_of_mean_zero_and_deviation_one() -> None:
    data = digits()
    seen = data.prepare(data.train.inputs[:], torch.float64)
    assert float(seen.mean()) == pytest.approx(0, abs=0.01)
    assert float(seen.std()) == pytest.approx(1, abs=0.01)


def test_a_limit_takes_the_first_images() -> None:
    few, all_ = digits(limit=10, val_limit=5), digits()
    assert torch.equal(few.train.inputs[:], all_.train.inputs[:10])
    assert torch.equal(few.val.targets, all_.val.targets[:5])
    assert len(digits(limit=10**9).train) == 1437


def test_cifar100_has_its_fine_labels_and_its_own_normalization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR100

    made = torch.Generator().manual_seed(0)
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    for name, files, labels in (("train", "train_list", [99, 3]), ("test", "test_list", [7])):
        pixels = torch.randint(256, (len(labels), 3072), generator=made, dtype=torch.uint8).numpy()
        raw = pickle.dumps({"data": pixels, "fine_labels": labels, "coarse_labels": [0] * len(labels)})
        (folder / name).write_bytes(raw)
        monkeypatch.setattr(CIFAR100, files, [[name, hashlib.md5(raw).hexdigest()]])
    raw = pickle.dumps({"fine_label_names": [str(number) for number in range(100)]})
    (folder / "meta").write_bytes(raw)
    monkeypatch.setitem(CIFAR100.meta, "md5", hashlib.md5(raw).hexdigest())
    data = load(Data(dataset="cifar100"), tmp_path, CPU, lambda _: None)
    assert (data.form.classes, data.train.targets.tolist(), data.val.targets.tolist()) == (100, [99, 3], [7])
    assert data.train.inputs[:].shape == (2, 3, 32, 32)
    white = data.prepare(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), torch.float64)
    assert white.flatten().tolist() == pytest.approx(
        [(1 - 0.50716) / 0.26733, (1 - 0.48669) / 0.25644, (1 - 0.44120) / 0.27615], abs=1e-4
    )


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


def missing(root: Path, dataset: Literal["cifar10", "cifar100"] = "cifar10") -> tuple[DataError, list[Event]]:
    events: list[Event] = []
    with pytest.raises(DataError) as raised:
        load(Data(dataset=dataset), root, CPU, events.append)
    return raised.value, events


@pytest.mark.parametrize(
    ("dataset", "title", "archive"),
    [
        ("cifar10", "CIFAR-10", "cifar-10-python.tar.gz (MD5 c58f30108f718f92721af3b95e74349a)"),
        ("cifar100", "CIFAR-100", "cifar-100-python.tar.gz (MD5 eb9058c3a382ffc7106e4002c42a8d85)"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_images_that_cannot_be_downloaded_are_told_with_what_to_put_where_and_leave_nothing(
    dataset: Literal["cifar10", "cifar100"], title: str, archive: str, tmp_path: Path
) -> None:
    root = tmp_path / "images"
    error, events = missing(root, dataset)
    refused = f"<urlopen error [Errno {errno.ECONNREFUSED}] Connection refused>"
    assert error.message == f"{title} is not in {root} and could not be downloaded: {refused}"
    folder = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[dataset]
    assert error.hint == f"put {archive} or the unpacked folder {folder} into {root}"
    assert events == [PhaseEntered("downloading data")]
    assert list(root.iterdir()) == []


@pytest.mark.usefixtures("no_network")
def test_damaged_files_laid_there_by_hand_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(b"half an archive")
    (tmp_path / UNPACKED).mkdir()
    (tmp_path / UNPACKED / "data_batch_1").write_bytes(b"half a batch")
    error, _ = missing(tmp_path)
    damaged = f"{UNPACKED}/data_batch_1 is another file than CIFAR-10's, by its MD5"
    assert error.message.startswith(f"CIFAR-10 is not in {tmp_path} ({damaged}) and could not be downloaded: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [UNPACKED, ARCHIVE]
    assert (tmp_path / ARCHIVE).read_bytes() == b"half an archive"
    assert (tmp_path / UNPACKED / "data_batch_1").read_bytes() == b"half a batch"


@pytest.mark.usefixtures("no_network")
def test_a_folder_for_images_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error, _ = missing(tmp_path / "file" / "images")
    assert "Not a directory" in error.message


PIECE = b"x" * 65536


@pytest.fixture
def slow_server() -> Iterator[tuple[str, threading.Event]]:
    """Three pieces, each sent half a second after the one before it was seen to have come; and what sees that."""
    seen = threading.Event()

    def send(file: BufferedIOBase) -> None:
        for _ in range(3):
            seen.clear()
            file.write(PIECE)
            file.flush()
            seen.wait(DEADLINE)
            threading.Event().wait(0.5)

    with serving(send) as url:
        yield url, seen


def test_the_rank_that_downloads_gives_a_sign_whenever_more_has_come_and_none_while_nothing_comes(
    slow_server: tuple[str, threading.Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    url, seen = slow_server
    monkeypatch.setattr(CIFAR10, "url", url)
    sizes: list[int] = []
    signs: list[Doing] = []

    def emit(event: Event) -> None:
        if isinstance(event, ProgressMade):
            sizes.append(event.done)
            seen.set()

    with pytest.raises(DataError, match="could not be downloaded"):  # three pieces are no archive
        load_in_turn(Data(dataset="cifar10"), tmp_path, CPU, emit, Ranks(0, 1, signs.append))
    assert len(sizes) >= 3
    assert sizes == sorted(set(sizes))
    assert signs == [Doing.PREPARING] * (len(sizes) + 1), "one more as the download begins"


def test_mnist_is_read_from_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sums = tmp_path / "MNIST" / "raw", {}
    folder.mkdir(parents=True)
    made = torch.Generator().manual_seed(0)
    pictures = {
        part: torch.randint(256, (count, 28, 28), generator=made, dtype=torch.uint8)
        for part, count in (("train", 3), ("t10k", 2))
    }
    for part, pixels in pictures.items():
        labels = bytes([0, 9, 4][: len(pixels)])
        images = bytes(pixels.numpy().data)
        contents = {
            "images-idx3": struct.pack(">4I", 0x803, len(pixels), 28, 28) + images,
            "labels-idx1": struct.pack(">2I", 0x801, len(pixels)) + labels,
        }
        for name, content in contents.items():
            (folder / f"{part}-{name}-ubyte").write_bytes(content)
            sums[f"{part}-{name}-ubyte"] = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(download._UNPACKED, "MNIST", sums)
    data = load(Data(dataset="mnist"), tmp_path, CPU, lambda _: None)
    assert torch.equal(data.train.inputs[:], pictures["train"][:, None])
    assert (data.train.targets.tolist(), data.val.targets.tolist()) == ([0, 9, 4], [0, 9])
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"of another kind")
    archive = DATA_SETS["mnist"].archive
    assert archive
    assert Download("MNIST", archive).wrong_in(tmp_path) == (
        "MNIST/raw/t10k-labels-idx1-ubyte is another file than MNIST's, by its MD5"
    )


def test_svhn_is_read_from_its_own_files_with_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import SVHN

    folder = tmp_path / "SVHN"
    folder.mkdir()
    for part in ("train", "test"):
        (folder / f"{part}_32x32.mat").write_bytes(b"a file of MATLAB")
        digest = hashlib.md5(b"a file of MATLAB").hexdigest()
        monkeypatch.setitem(SVHN.split_list, part, ["", f"{part}_32x32.mat", digest])
    pixels = torch.arange(6144, dtype=torch.uint8).reshape(32, 32, 3, 2).numpy()  # height, width, colours, pictures
    scipy = types.ModuleType("scipy.io")
    scipy.loadmat = lambda _: {"X": pixels, "y": torch.tensor([[10], [3]], dtype=torch.uint8).numpy()}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scipy", types.ModuleType("scipy"))
    monkeypatch.setitem(sys.modules, "scipy.io", scipy)
    data = load(Data(dataset="svhn"), tmp_path, CPU, lambda _: None)
    assert torch.equal(data.train.inputs[:][0].permute(1, 2, 0), torch.from_numpy(pixels[..., 0]))
    assert data.train.targets.tolist() == [0, 3], "a 0 is called 10 there"
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match="SVHN is read with scipy, which is not installed"):
        load(Data(dataset="svhn"), tmp_path, CPU, lambda _: None)
