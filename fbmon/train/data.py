"""A data set as one uint8 tensor on the device; blocks are cut from it by number."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from fbmon import recipe
from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered, ProgressMade
from fbmon.train.augment import random_bits

_DIGITS_TRAIN = 1437
CIFAR10_MEAN = (0.4914672374725342, 0.4822617471218109, 0.4467701315879822)  # the authors' constants
CIFAR10_STD = (0.24703224003314972, 0.24348513782024384, 0.26158785820007324)
_CIFAR10_ARCHIVE_BYTES = 170_498_071


@dataclass(frozen=True)
class Images:
    """Pictures uint8 (N, C, H, W) and labels int64 (N,)."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, limit: int | None) -> "Images":
        return self if limit is None else Images(self.pictures[:limit], self.labels[:limit])

    def to(self, device: torch.device) -> "Images":
        return Images(self.pictures.to(device), self.labels.to(device))


@dataclass(frozen=True)
class DataSet:
    """Training and validation images, and how a pixel becomes a number: (pixel / scale - mean) / std, by channel."""

    train: Images
    val: Images
    classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalize(self, pictures: Tensor, dtype: torch.dtype) -> Tensor:
        """Network input of `dtype` from uint8 (B, C, H, W)."""
        mean = _by_channel(self.mean, dtype, pictures.device)
        std = _by_channel(self.std, dtype, pictures.device)
        return (pictures.to(dtype) / self.scale - mean) / std


@cache  # copied to the device once: each copy from the host would wait for it
def _by_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)


def load(wanted: recipe.Data, data_dir: Path | None, device: torch.device, emit: Callable[[Event], None]) -> DataSet:
    """The data set of a recipe, on `device`. Raises DataError if it is neither there nor to be had."""
    match wanted.dataset:
        case "digits":
            data = _digits()
        case "cifar10":
            data = _cifar10(data_dir or Path.cwd(), emit)
        case _:
            assert_never(wanted.dataset)
    train = data.train.first(wanted.limit).to(device)
    val = data.val.first(wanted.val_limit).to(device)
    return DataSet(train, val, data.classes, data.scale, data.mean, data.std)


def blocks(images: int, gradient: recipe.Gradient, seed: int, step: int, device: torch.device) -> list[Tensor]:
    """The numbers of the images of each block, int64, as the recipe alone cuts them.

    "shuffled" draws a new order each step, a function of (seed, step). A data set smaller than a block is one block.
    """
    numbers = torch.arange(images, device=device)
    if gradient.order == "shuffled":
        numbers = torch.argsort(random_bits(seed, step, numbers, draw=3), stable=True)
    whole = images - images % gradient.block if gradient.drop_last else images
    return list(torch.split(numbers[: whole or images], gradient.block))


def _digits() -> DataSet:
    """UCI handwritten digits (see digits/LICENSE.md): 1,437 training and 360 validation images."""
    with np.load(Path(__file__).parent / "digits" / "digits.npz", allow_pickle=False) as file:
        pictures, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    train = Images(pictures[:_DIGITS_TRAIN], labels[:_DIGITS_TRAIN])
    val = Images(pictures[_DIGITS_TRAIN:], labels[_DIGITS_TRAIN:])
    return DataSet(train, val, classes=10, scale=16.0, mean=(0.3055,), std=(0.376,))


def _cifar10(root: Path, emit: Callable[[Event], None]) -> DataSet:
    """CIFAR-10 through torchvision, which checks the MD5 of every file before it reads it."""
    from torchvision.datasets import CIFAR10

    if not _holds_cifar10(root):
        emit(PhaseEntered("downloading data"))
        _download_cifar10(root, emit)
        emit(PhaseEntered("loading data"))
    parts = [CIFAR10(str(root), train=train) for train in (True, False)]
    train, val = (
        Images(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
        for part in parts
    )
    return DataSet(train, val, classes=10, scale=255.0, mean=CIFAR10_MEAN, std=CIFAR10_STD)


def _holds_cifar10(root: Path) -> bool:
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(str(root), train=False)
    except RuntimeError:
        return False
    return True


def _download_cifar10(root: Path, emit: Callable[[Event], None]) -> None:
    """Download into a temporary folder beside the goal and rename: an interrupted download leaves nothing half done."""
    from torchvision.datasets import CIFAR10

    archive = root / CIFAR10.filename
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            if archive.exists():  # laid there by hand: checked and unpacked without a network
                (Path(temporary) / archive.name).symlink_to(archive.resolve())
            with _telling_growth(Path(temporary) / archive.name, emit):
                CIFAR10(temporary, download=True)
            goal = root / CIFAR10.base_folder
            if goal.exists():  # incomplete or damaged, or another run was faster
                shutil.rmtree(goal)
            (Path(temporary) / CIFAR10.base_folder).rename(goal)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"CIFAR-10 is not in {root} and could not be downloaded: {reason}",
            f"put {CIFAR10.filename} (MD5 {CIFAR10.tgz_md5}) or the unpacked folder {CIFAR10.base_folder} into {root}",
        ) from None


@contextmanager
def _telling_growth(file: Path, emit: Callable[[Event], None]) -> Iterator[None]:
    """Tell how far the download of `file` is, by its size: torchvision says it only to people."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            if file.exists():
                emit(ProgressMade("downloading", 0, file.stat().st_size, _CIFAR10_ARCHIVE_BYTES))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
