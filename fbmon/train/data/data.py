"""A data set as one uint8 tensor on the device."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fbmon import recipe
from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered, State
from fbmon.ranks.heartbeat import Doing
from fbmon.recipe.data_sets import DATA_SETS, Archive, DataSetFacts
from fbmon.recipe.npz import facts_of_file, is_channels_last
from fbmon.text import clean_path
from fbmon.train.control import Interrupted
from fbmon.train.data.augment import random_bits
from fbmon.train.data.download import Download, fetch
from fbmon.train.ranks.distribute import Ranks

_SPLIT_DRAW = 5  # the order of the images of a file, of which the first are held out
_LOADED = "loaded"  # what the first rank says if it was not interrupted


@dataclass(frozen=True)
class Images:
    """Pictures uint8 (N, C, H, W) and labels int64 (N,)."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, limit: int | None) -> "Images":
        return self if limit is None else Images(self.pictures[:limit], self.labels[:limit])

    def only(self, numbers: Tensor) -> "Images":
        return Images(self.pictures[numbers], self.labels[numbers])

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

    def to(self, device: torch.device) -> "DataSet":
        return replace(self, train=self.train.to(device), val=self.val.to(device))

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
    if section.is_file:
        return load_npz(section).to(device)
    facts = DATA_SETS[section.dataset]
    root = data_dir or Path.cwd()
    if facts.archive:
        train, val = _from_archive(facts, facts.archive, root, emit, heed)
    else:
        train, val = _shipped(section.dataset, facts)
    for images in (train, val):
        _refuse_others(images, facts)
    return DataSet(
        train.first(section.limit).to(device),
        val.first(section.val_limit).to(device),
        facts.classes,
        facts.scale,
        facts.mean,
        facts.std,
    )


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


def _shipped(name: str, facts: DataSetFacts) -> tuple[Images, Images]:
    """Load a data set that ships with fbmon, in an order that was drawn once and for all: the training images first."""
    with np.load(Path(__file__).parent / name / f"{name}.npz", allow_pickle=False) as file:
        pictures, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    every = Images(pictures, labels)
    return every.first(facts.train), Images(pictures[facts.train :], labels[facts.train :])


def _from_archive(
    facts: DataSetFacts, archive: Archive, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]
) -> tuple[Images, Images]:
    """Load a data set through torchvision, which checks every file."""
    download = Download(facts.title, archive)
    if not download.is_in(root):
        fetch(download, root, emit, heed)
        emit(PhaseEntered("loading data"))
    parts = [download.kind(str(root), train=train) for train in (True, False)]
    train, val = (
        Images(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))
        for part in parts
    )
    return train, val


def _refuse_others(images: Images, facts: DataSetFacts) -> None:
    """Raise DataError for images of another shape or labels of other classes: a plan would have been another one's."""
    shape, labels = tuple(images.pictures.shape[1:]), images.labels
    if shape != facts.shape or labels.min() < 0 or labels.max() >= facts.classes:
        raise DataError(
            f"{facts.title} has images of {facts.shape} and {facts.classes} classes; "
            f"found were images of {shape} and labels from {int(labels.min())} to {int(labels.max())}"
        )


def load_npz(section: recipe.Data) -> DataSet:
    """Load images of the user's own, normalized to mean 0 and deviation 1 by channel over those of the training.

    Raises DataError if the file is not what the recipe was checked with.
    """
    path = Path(section.dataset)
    try:
        facts = facts_of_file(path)
        with np.load(path, allow_pickle=False) as file:
            parts = [_images(file[f"x{part}"], file[f"y{part}"]) for part in ("", "_val") if f"x{part}" in file]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{clean_path(path)}: {error}") from None
    if len(parts) == 1:
        numbers = torch.arange(len(parts[0]))
        order = torch.argsort(random_bits(0, 0, numbers, _SPLIT_DRAW), stable=True)
        held_out = round(len(numbers) * (section.val_share or 0.0))
        parts = [parts[0].only(order[held_out:].sort().values), parts[0].only(order[:held_out].sort().values)]
    train, val = parts[0].first(section.limit), parts[1].first(section.val_limit)
    pixels = train.pictures.double().div(facts.scale).transpose(0, 1).flatten(1)
    std = [
        deviation or 1.0 for deviation in pixels.std(1, correction=0).tolist()
    ]  # of a channel that is all one colour
    return DataSet(train, val, facts.classes, facts.scale, tuple(pixels.mean(1).tolist()), tuple(std))


def _images(pictures: NDArray[np.uint8], labels: NDArray[np.integer]) -> "Images":
    if pictures.ndim == 3:
        pictures = pictures[:, None]
    elif is_channels_last(pictures.shape):
        pictures = pictures.transpose(0, 3, 1, 2)
    return Images(torch.from_numpy(np.ascontiguousarray(pictures)), torch.from_numpy(labels.astype(np.int64)))


def is_there(name: str, root: Path) -> bool:
    """Say whether a data set is at hand, every file in the folder with its checksum; nothing is downloaded."""
    facts = DATA_SETS[name]
    return facts.archive is None or Download(facts.title, facts.archive).is_in(root)
