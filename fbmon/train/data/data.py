"""A data set as one uint8 tensor on the device."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, assert_never, cast

import numpy as np
import torch
from torch import Tensor

from fbmon import recipe
from fbmon.events import Event, PhaseEntered, State
from fbmon.ranks.heartbeat import Doing
from fbmon.train.control import Interrupted
from fbmon.train.data.download import Archive, fetch
from fbmon.train.ranks.distribute import Ranks

_LOADED = "loaded"  # what the first rank says if it was not interrupted
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
    """Training and validation images, and the normalization of a pixel: (pixel / scale - mean) / std, by channel."""

    train: Images
    val: Images
    classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalize(self, pictures: Tensor, dtype: torch.dtype) -> Tensor:
        """Return network input of `dtype` from uint8 (B, C, H, W)."""
        mean = _by_channel(self.mean, dtype, pictures.device)
        std = _by_channel(self.std, dtype, pictures.device)
        return (pictures.to(dtype) / self.scale - mean) / std


@cache  # copied to the device once: each copy from the host would wait for it
def _by_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)


def _nothing() -> None:
    pass


def load(
    section: recipe.Data,
    data_dir: Path | None,
    device: torch.device,
    emit: Callable[[Event], None],
    heed: Callable[[], None] = _nothing,
) -> DataSet:
    """Load a recipe's data set onto `device`. Raises DataError if it is neither there nor available for download.

    `heed` is called again and again during a download, and may raise to end it.
    """
    match section.dataset:
        case "digits":
            data = _digits()
        case "cifar10":
            data = _cifar("cifar10", data_dir or Path.cwd(), emit, heed)
        case "cifar100":
            data = _cifar("cifar100", data_dir or Path.cwd(), emit, heed)
        case _:
            assert_never(section.dataset)
    train = data.train.first(section.limit).to(device)
    val = data.val.first(section.val_limit).to(device)
    return DataSet(train, val, data.classes, data.scale, data.mean, data.std)


def load_in_turn(
    section: recipe.Data,
    data_dir: Path | None,
    device: torch.device,
    emit: Callable[[Event], None],
    ranks: Ranks,
    heed: Callable[[], None] = _nothing,
) -> DataSet:
    """Load a data set on several ranks: the first downloads what is missing before the others look for it.

    If `heed` ends that by Interrupted, it is raised on all ranks.
    """

    def tell(event: Event) -> None:
        emit(event)
        ranks.tell(Doing.PREPARING)  # for whom the others wait: a download that goes on is no stall

    if not ranks.is_first:
        end = ranks.follow_first("data")
        if end != _LOADED:
            raise Interrupted(cast(State, end))
        return load(section, data_dir, device, emit)
    try:
        data = load(section, data_dir, device, tell, heed)
    except Interrupted as interrupted:
        ranks.lead("data", interrupted.state)
        raise
    ranks.lead("data", _LOADED)
    return data


def _digits() -> DataSet:
    """Load the UCI handwritten digits (see digits/LICENSE.md): 1,437 training and 360 validation images."""
    with np.load(Path(__file__).parent / "digits" / "digits.npz", allow_pickle=False) as file:
        pictures, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    train = Images(pictures[: recipe.DIGITS], labels[: recipe.DIGITS])
    val = Images(pictures[recipe.DIGITS :], labels[recipe.DIGITS :])
    return DataSet(train, val, classes=10, scale=16.0, mean=(0.3055,), std=(0.376,))


@dataclass(frozen=True)
class _Cifar:
    """One of the two data sets of Krizhevsky 2009, 50,000 training and 10,000 validation images of 32x32."""

    archive: Archive
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def _known(dataset: Literal["cifar10", "cifar100"]) -> _Cifar:
    from torchvision.datasets import CIFAR10, CIFAR100  # a second to import, and only CIFAR needs it

    if dataset == "cifar10":
        return _Cifar(Archive("CIFAR-10", CIFAR10, 170_498_071), 10, CIFAR10_MEAN, CIFAR10_STD)
    return _Cifar(Archive("CIFAR-100", CIFAR100, 169_001_437), 100, _CIFAR100_MEAN, _CIFAR100_STD)


def _cifar(
    dataset: Literal["cifar10", "cifar100"], root: Path, emit: Callable[[Event], None], heed: Callable[[], None]
) -> DataSet:
    """Load CIFAR-10 or -100 through torchvision."""
    cifar = _known(dataset)
    if not cifar.archive.is_in(root):
        fetch(cifar.archive, root, emit, heed)
        emit(PhaseEntered("loading data"))
    parts = [cifar.archive.kind(str(root), train=train) for train in (True, False)]
    train, val = (
        Images(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
        for part in parts
    )
    return DataSet(train, val, classes=cifar.classes, scale=255.0, mean=cifar.mean, std=cifar.std)


def is_there(dataset: Literal["cifar10", "cifar100"], root: Path) -> bool:
    """Say whether a data set lies in a folder, every file with its checksum; nothing is downloaded."""
    return _known(dataset).archive.is_in(root)
