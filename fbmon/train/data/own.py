"""Data of the user's own: arrays of a file or from a function, and folders of pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fbmon.errors import DataError
from fbmon.recipe import Data, Recipe
from fbmon.recipe.arrays import Array, are_channels_last, facts_of_arrays
from fbmon.recipe.data_sets import DataSetFacts, Form
from fbmon.recipe.npz import open_npz, refuse_damaged
from fbmon.recipe.own_data import facts_without_code, with_val_share
from fbmon.recipe.pictures import Picture, facts_of_folder, pictures_in
from fbmon.recipe.schema import FOLDER
from fbmon.text import clean, clean_path
from fbmon.train.data.augment import random_bits
from fbmon.train.data.data import DataSet, Samples
from fbmon.train.data.scan import Seen, digest_of_targets, refuse_not_finite, scan
from fbmon.train.data.stream import Rows, Stream
from fbmon.train.foreign import load_code, naming_the_line
from fbmon.train.hardware.memory import Room

_SPLIT_DRAW = 5  # the order of the samples, of which the first are held out
_NAMES = ("x", "y", "x_val", "y_val")
# What torch does not compute with, as the smallest that holds it.
_WIDER = {"u2": np.int32, "u4": np.int64, "u8": np.int64}


class Whole(NamedTuple):
    """The user's own data, on the host, and what a look through all of them has found."""

    data: DataSet
    seen: Seen


def load_own(section: Data, room: Room, heed: Callable[[], None], seen: Seen | None = None) -> Whole:
    """Load data of the user's own; images are normalized to mean 0 and deviation 1 by channel over those of training.

    Those for which there is no room are left on the disk. They are looked through, unless another rank has `seen` them;
    `heed` is called again and again meanwhile, and may raise. Raises DataError with what is wrong with them.
    """
    title, read = _reader(section, room, heed if seen is None else None)
    try:
        facts, train, val = read()
        facts = with_val_share(facts, section)
        if val is None:
            val, train = _split(train, facts.val)
        train, val = train.first(section.limit), val.first(section.val_limit)
        if seen is None:
            seen = scan(train, val, facts, heed)
        elif seen.targets != digest_of_targets(train, val):
            raise ValueError("has other targets here than where rank 0 is")
    except (ValueError, OSError) as error:
        raise DataError(f"{title}: {error}") from None
    return Whole(DataSet(train, val, replace(facts, mean=seen.mean, std=seen.std), digest=seen.digest), seen)


def facts_of(recipe: Recipe) -> DataSetFacts:
    """Return the facts of a recipe's data; a function of the user's own is called for them.

    Raises DataError with what is wrong.
    """
    title, read = _reader(recipe.data, Room(0, 0), None)
    try:
        facts = facts_without_code(recipe.data) or with_val_share(read()[0], recipe.data)
        recipe.refuse_misfits(facts)
    except ValueError as error:
        raise DataError(f"{title}: {error}") from None
    return facts


_Read = Callable[[], tuple[DataSetFacts, Samples, Samples | None]]


def _reader(section: Data, room: Room, heed: Callable[[], None] | None) -> tuple[str, _Read]:
    """Return what the data are called in errors, and the function that reads them.

    What stays on the disk is checked for damage if there is someone to `heed` meanwhile.
    """
    path = Path(section.dataset.removeprefix(FOLDER))
    match section.source:
        case "npz":
            return clean_path(path), lambda: _from_npz(path, section, room, heed)
        case "folder":
            return clean_path(path), lambda: _from_folder(path, section, room)
        case "code" | "named":
            name = clean(section.dataset, 100)
            return f'data.dataset = "{name}"', lambda: _from_arrays(
                name, _call(section), section, stays=section.stream is not False
            )


def _call(section: Data) -> dict[str, Array]:
    """Call a function of the user's own, whose code runs here, for arrays by name or in order."""
    title = f'data.dataset = "{clean(section.dataset, 100)}"'
    if section.reference is None:
        raise AssertionError("data by a name of fbmon's are not the user's own")
    with naming_the_line(title):
        returned = load_code(section.reference, section)(**(section.args or {}))
    if isinstance(returned, Mapping):
        named = {str(name): value for name, value in returned.items()}
    elif isinstance(returned, Sequence) and len(returned) in (2, 4):
        named = dict(zip(_NAMES, returned, strict=False))
    else:
        raise ValueError(f"returned a {type(returned).__name__}, not arrays x and y, perhaps x_val and y_val")
    return {name: _array(name, value) for name, value in named.items()}


def _array(name: str, value: object) -> Array:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise ValueError(f"returned {name} as a {type(value).__name__}, not as an array or a tensor")
    values: NDArray[np.generic] = value
    rows = values.__getitem__ if isinstance(values, np.memmap) else None
    return Array(values.dtype.kind, values.dtype.itemsize, values.shape, lambda: values, rows)


def _from_npz(
    path: Path, section: Data, room: Room, heed: Callable[[], None] | None
) -> tuple[DataSetFacts, Samples, Samples | None]:
    arrays = open_npz(path, on_disk=True)
    inputs = [arrays[name] for name in ("x", "x_val") if name in arrays]
    if not section.is_streamed(sum(array.size for array in inputs), room.host):
        return _from_arrays(path.name, open_npz(path), section, stays=False)
    if (packed := sum(array.size for array in inputs if not array.rows)) > room.host:
        raise ValueError(
            f"has {packed / 1e9:,.1f} GB of compressed inputs, but there is room for {room.host / 1e9:,.1f} GB; "
            "they can stay on the disk if they are saved by numpy.savez instead"
        )
    if heed:
        refuse_damaged(path, heed)
    return _from_arrays(path.name, arrays, section, stays=True)


def _from_arrays(
    title: str, arrays: Mapping[str, Array], section: Data, *, stays: bool
) -> tuple[DataSetFacts, Samples, Samples | None]:
    facts = facts_of_arrays(title, arrays, section.classes)
    train = _samples(arrays["x"], arrays["y"], facts.form, stays=stays)
    return facts, train, _samples(arrays["x_val"], arrays["y_val"], facts.form, stays=stays) if facts.val else None


def _samples(x: Array, y: Array, form: Form, *, stays: bool) -> Samples:
    targets = torch.from_numpy(np.require(y.read(), requirements=["C", "W"]))
    if form.classes is None:
        targets = targets.reshape(len(targets), *form.target)
        refuse_not_finite(targets, "y")
    else:
        targets = targets.long()
    if not stays or (read := x.rows) is None:
        return Samples(_inputs(x.read(), form), targets)
    return Samples(Stream(lambda rows: _inputs(read(rows), form), np.arange(x.shape[0])), targets)


def _inputs(values: NDArray[np.generic], form: Form) -> Tensor:
    """Return inputs as they are kept: images with their channels first, numbers of types that torch knows."""
    if form.kind == "images":
        values = values.transpose(0, 3, 1, 2) if are_channels_last(values.shape) else values
    elif wider := _WIDER.get(f"{values.dtype.kind}{values.dtype.itemsize}"):
        values = values.astype(wider)
    native = np.require(values, values.dtype.newbyteorder("="), ["C", "W"])
    return torch.from_numpy(native).reshape(len(values), *form.shape)


def _from_folder(folder: Path, section: Data, room: Room) -> tuple[DataSetFacts, Samples, Samples | None]:
    """Decode all pictures of a folder, at once or, if there is no room for them, as they are needed.

    Raises ValueError for one that is damaged or of another size than the first.
    """
    facts, pictures = facts_of_folder(folder), pictures_in(folder)
    stays = section.is_streamed(facts.form.features * (len(pictures.train) + len(pictures.val)), room.host)

    def samples(some: list[Picture]) -> Samples:
        def read(rows: Rows) -> Tensor:
            chosen = some[rows] if isinstance(rows, slice) else [some[row] for row in rows]
            try:
                return _decode(chosen, facts.form, folder)
            except ValueError as error:  # as late as in a step, if the pictures stay on the disk
                raise DataError(f"{clean_path(folder)}: {error}") from None

        inputs = Stream(read, np.arange(len(some))) if stays else read(slice(None))
        return Samples(inputs, torch.tensor([picture.label for picture in some]))

    return facts, samples(pictures.train), samples(pictures.val) if pictures.val else None


def _decode(pictures: Sequence[Picture], form: Form, folder: Path) -> Tensor:
    """Return the pixels of pictures, uint8 (N, C, H, W)."""
    from PIL import Image

    channels, height, width = form.shape
    pixels = np.empty((len(pictures), height, width, channels), np.uint8)
    for number, (path, _) in enumerate(pictures):
        name = path.relative_to(folder)
        try:
            with Image.open(path) as image:
                if image.size != (width, height):
                    raise ValueError(f"{name} has {image.height}x{image.width} pixels, the first has {height}x{width}")
                pixels[number] = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(pixels.shape[1:])
        except (OSError, Image.DecompressionBombError) as error:
            raise ValueError(f"{name} is no picture: {error}") from None
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def _split(samples: Samples, held_out: int) -> tuple[Samples, Samples]:
    """Return the samples held out, and the others: the same ones in every run."""
    order = torch.argsort(random_bits(0, 0, torch.arange(len(samples)), _SPLIT_DRAW), stable=True)
    return samples.only(order[:held_out].sort().values), samples.only(order[held_out:].sort().values)
