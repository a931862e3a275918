"""The loading of a recipe's data set, wherever it comes from."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import numpy as np
import torch

from fbmon.errors import DataError, UsageError
from fbmon.events import Event, PhaseEntered, State
from fbmon.ranks.heartbeat import Doing
from fbmon.recipe import Data, Recipe
from fbmon.recipe.data_sets import DATA_SETS, Archive, DataSetFacts
from fbmon.train.control import Interrupted
from fbmon.train.data.data import DataSet, Samples
from fbmon.train.data.download import Download, fetch
from fbmon.train.data.own import load_own
from fbmon.train.data.scan import Seen
from fbmon.train.hardware.memory import Room, room
from fbmon.train.ranks.distribute import Ranks

_LOADED = "loaded"  # what the first rank says if it was not interrupted, and what it has seen


def _nothing() -> None:
    pass


def load(
    section: Data,
    data_dir: Path | None,
    device: torch.device,
    emit: Callable[[Event], None],
    heed: Callable[[], None] = _nothing,
) -> DataSet:
    """Load a recipe's data set onto `device`. Raises DataError if it is neither there nor available for download.

    `heed` is called again and again during a download, and may raise to end it.
    """
    return _load(section, data_dir, room(device, 1), emit, heed).data.on(device)


class _Loaded(NamedTuple):
    """A data set, and what a look through the user's own has found."""

    data: DataSet
    seen: Seen | None


def _load(
    section: Data,
    data_dir: Path | None,
    there: Room,
    emit: Callable[[Event], None],
    heed: Callable[[], None],
    seen: Seen | None = None,
) -> _Loaded:
    """Load a data set onto the host."""
    if section.source != "named":
        loaded = _Loaded(*load_own(section, there, heed, seen))
    else:
        loaded = _Loaded(_named(section, data_dir, emit, heed), None)
    size = sum(part.inputs.nbytes for part in (loaded.data.train, loaded.data.val))
    return loaded._replace(data=loaded.data.streamed()) if section.is_streamed(size, there.device) else loaded


def _named(section: Data, data_dir: Path | None, emit: Callable[[Event], None], heed: Callable[[], None]) -> DataSet:
    facts = DATA_SETS[section.dataset]
    root = data_dir or Path.cwd()
    if facts.archive:
        train, val = _from_archive(facts, facts.archive, root, emit, heed)
    else:
        train, val = _shipped(section.dataset, facts)
    for samples in (train, val):
        _refuse_others(samples, facts)
    return DataSet(train.first(section.limit), val.first(section.val_limit), facts)


def load_in_turn(
    section: Data,
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

    def look() -> None:  # as some megabytes of the user's own have been looked through
        ranks.tell(Doing.PREPARING)
        heed()

    there = room(device, ranks.size)
    if not ranks.is_first:
        end, _, seen = ranks.follow_first("data").partition(" ")
        if end != _LOADED:
            raise Interrupted(cast(State, end))
        seen_by_first = msgspec.json.decode(seen, type=Seen | None)
        return _load(section, data_dir, there, emit, heed, seen_by_first).data.on(device)
    try:
        loaded = _load(section, data_dir, there, tell, heed if section.source == "named" else look)
    except Interrupted as interrupted:
        ranks.lead("data", interrupted.state)
        raise
    ranks.lead("data", f"{_LOADED} {msgspec.json.encode(loaded.seen).decode()}")
    return loaded.data.on(device)


def refuse_misfits(recipe: Recipe, data: DataSet) -> None:
    """Raise UsageError for a recipe that these data do not go with, as it may be with a user's own."""
    try:
        recipe.refuse_misfits(data.facts)
    except ValueError as error:
        raise UsageError(f"{recipe.name}: {error}") from None


def is_there(name: str, root: Path) -> bool:
    """Say whether a data set is at hand, every file in the folder with its checksum; nothing is downloaded."""
    facts = DATA_SETS[name]
    return facts.archive is None or Download(facts.title, facts.archive).is_in(root)


def _shipped(name: str, facts: DataSetFacts) -> tuple[Samples, Samples]:
    """Load a data set that ships with fbmon, in an order that was drawn once and for all: the training images first."""
    with np.load(Path(__file__).parent / name / f"{name}.npz", allow_pickle=False) as file:
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    every = Samples(images, labels)
    return every.first(facts.train), Samples(images[facts.train :], labels[facts.train :])


def _from_archive(
    facts: DataSetFacts, archive: Archive, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]
) -> tuple[Samples, Samples]:
    """Load a data set through torchvision."""
    download = Download(facts.title, archive)
    if not download.is_in(root):
        fetch(download, root, emit, heed)
        emit(PhaseEntered("loading data"))
    return download.read(root, is_train=True), download.read(root, is_train=False)


def _refuse_others(samples: Samples, facts: DataSetFacts) -> None:
    """Raise DataError for images of another shape or labels of other classes: a plan would have been another one's."""
    shape, labels, form = tuple(samples.inputs[:1].shape[1:]), samples.targets, facts.form
    if shape != form.shape or labels.min() < 0 or labels.max() >= (form.classes or 0):
        raise DataError(
            f"{facts.title} has images of {form.shape} and {form.classes} classes; "
            f"found were images of {shape} and labels from {int(labels.min())} to {int(labels.max())}"
        )
