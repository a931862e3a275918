"""A data set as one uint8 tensor on the device."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

import numpy as np
import torch
from torch import Tensor

from fbmon import recipe
from fbmon.crew.beats import Doing
from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered, ProgressMade
from fbmon.train.distribute import Ranks

if TYPE_CHECKING:  # a second to import, and only CIFAR needs it
    from torchvision.datasets import CIFAR10

_DIGITS_TRAIN = 1437
# The authors' constants.
CIFAR10_MEAN = (0.4914672374725342, 0.4822617471218109, 0.4467701315879822)
CIFAR10_STD = (0.24703224003314972, 0.24348513782024384, 0.26158785820007324)
_CIFAR100_MEAN = (0.5071598291397095, 0.4866936206817627, 0.44120192527770996)
_CIFAR100_STD = (0.2673342823982239, 0.2564384639263153, 0.2761504650115967)


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
            data = _cifar("cifar10", data_dir or Path.cwd(), emit)
        case "cifar100":
            data = _cifar("cifar100", data_dir or Path.cwd(), emit)
        case _:
            assert_never(wanted.dataset)
    train = data.train.first(wanted.limit).to(device)
    val = data.val.first(wanted.val_limit).to(device)
    return DataSet(train, val, data.classes, data.scale, data.mean, data.std)


def load_in_turn(
    wanted: recipe.Data, data_dir: Path | None, device: torch.device, emit: Callable[[Event], None], ranks: Ranks
) -> DataSet:
    """The same on several ranks: the first downloads what is missing before the others look for it."""

    def tell(event: Event) -> None:
        emit(event)
        ranks.tell(Doing.PREPARING)  # for whom the others wait: a download that goes on is no stall

    if ranks.is_first:
        data = load(wanted, data_dir, device, tell)
    ranks.follow_first("data")
    return data if ranks.is_first else load(wanted, data_dir, device, emit)


def _digits() -> DataSet:
    """UCI handwritten digits (see digits/LICENSE.md): 1,437 training and 360 validation images."""
    with np.load(Path(__file__).parent / "digits" / "digits.npz", allow_pickle=False) as file:
        pictures, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    train = Images(pictures[:_DIGITS_TRAIN], labels[:_DIGITS_TRAIN])
    val = Images(pictures[_DIGITS_TRAIN:], labels[_DIGITS_TRAIN:])
    return DataSet(train, val, classes=10, scale=16.0, mean=(0.3055,), std=(0.376,))


@dataclass(frozen=True)
class _Cifar:
    """One of the two data sets of Krizhevsky 2009, 50,000 training and 10,000 validation images of 32x32."""

    title: str
    kind: "type[CIFAR10]"
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    archive_bytes: int


def _known(dataset: Literal["cifar10", "cifar100"]) -> _Cifar:
    from torchvision.datasets import CIFAR10, CIFAR100

    if dataset == "cifar10":
        return _Cifar("CIFAR-10", CIFAR10, 10, CIFAR10_MEAN, CIFAR10_STD, 170_498_071)
    return _Cifar("CIFAR-100", CIFAR100, 100, _CIFAR100_MEAN, _CIFAR100_STD, 169_001_437)


def _cifar(dataset: Literal["cifar10", "cifar100"], root: Path, emit: Callable[[Event], None]) -> DataSet:
    """CIFAR-10 or -100 through torchvision, which checks the MD5 of every file before it reads it."""
    cifar = _known(dataset)
    if not _is_in(root, cifar):
        emit(PhaseEntered("downloading data"))
        _download(cifar, root, emit)
        emit(PhaseEntered("loading data"))
    parts = [cifar.kind(str(root), train=train) for train in (True, False)]
    train, val = (
        Images(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
        for part in parts
    )
    return DataSet(train, val, classes=cifar.classes, scale=255.0, mean=cifar.mean, std=cifar.std)


def is_there(dataset: Literal["cifar10", "cifar100"], root: Path) -> bool:
    """Whether a data set lies in a folder, every file with its checksum; nothing is downloaded."""
    return _is_in(root, _known(dataset))


def _is_in(root: Path, cifar: _Cifar) -> bool:
    try:
        cifar.kind(str(root), train=False)
    except RuntimeError:
        return False
    return True


def _download(cifar: _Cifar, root: Path, emit: Callable[[Event], None]) -> None:
    """Download into a temporary folder beside the goal and rename: an interrupted download leaves nothing half done."""
    kind = cifar.kind
    archive = root / kind.filename
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            if archive.exists():  # laid there by hand: checked and unpacked without a network
                (Path(temporary) / archive.name).symlink_to(archive.resolve())
            with _telling_growth(Path(temporary) / archive.name, cifar.archive_bytes, emit):
                kind(temporary, download=True)
            goal = root / kind.base_folder
            if goal.exists():  # incomplete or damaged, or another run was faster
                shutil.rmtree(goal)
            (Path(temporary) / kind.base_folder).rename(goal)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{cifar.title} is not in {root} and could not be downloaded: {reason}",
            f"put {kind.filename} (MD5 {kind.tgz_md5}) or the unpacked folder {kind.base_folder} into {root}",
        ) from None


@contextmanager
def _telling_growth(file: Path, total: int, emit: Callable[[Event], None]) -> Iterator[None]:
    """Tell how far the download of `file` is whenever it has grown: torchvision says it only to people."""
    done = threading.Event()

    def watch() -> None:
        told = 0
        while not done.wait(0.2):
            size = file.stat().st_size if file.exists() else 0
            if size > told:
                emit(ProgressMade("downloading", 0, size, total))
                told = size

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
