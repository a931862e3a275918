"""Data of the user's own: arrays of a file or from a function, and folders of pictures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fbmon.errors import DataError
from fbmon.recipe import Data, Recipe
from fbmon.recipe.arrays import Array, are_channels_last, facts_of_arrays
from fbmon.recipe.data_sets import DataSetFacts, Form
from fbmon.recipe.npz import open_npz
from fbmon.recipe.own_data import facts_without_code, with_val_share
from fbmon.recipe.pictures import Picture, facts_of_folder, pictures_in
from fbmon.recipe.schema import FOLDER
from fbmon.text import clean, clean_path
from fbmon.train.data.augment import random_bits
from fbmon.train.data.data import DataSet, Samples
from fbmon.train.foreign import load_code, naming_the_line

_SPLIT_DRAW = 5  # the order of the samples, of which the first are held out
_NAMES = ("x", "y", "x_val", "y_val")
_CHUNK = 1024  # samples looked at together
# What torch does not compute with, as the smallest that holds it.
_WIDER = {"u2": np.int32, "u4": np.int64, "u8": np.int64}


def load_own(section: Data) -> DataSet:
    """Load data of the user's own; images are normalized to mean 0 and deviation 1 by channel over those of training.

    Raises DataError with what is wrong with them.
    """
    title, read = _reader(section)
    try:
        facts, train, val = read()
        facts = with_val_share(facts, section)
        if val is None:
            val, train = _split(train, facts.val)
        train, val = train.first(section.limit), val.first(section.val_limit)
        if facts.form.kind == "numbers":
            for name, samples in (("x", train), ("x_val", val)):
                _refuse_not_finite(samples.inputs, name)
    except (ValueError, OSError) as error:
        raise DataError(f"{title}: {error}") from None
    if facts.form.kind == "images":
        mean, std = _moments(train.inputs, facts.scale)
        facts = replace(facts, mean=mean, std=std)
    return DataSet(train, val, facts)


def facts_of(recipe: Recipe) -> DataSetFacts:
    """Return the facts of a recipe's data; a function of the user's own is called for them.

    Raises DataError with what is wrong.
    """
    title, read = _reader(recipe.data)
    try:
        facts = facts_without_code(recipe.data) or with_val_share(read()[0], recipe.data)
        recipe.refuse_misfits(facts)
    except ValueError as error:
        raise DataError(f"{title}: {error}") from None
    return facts


_Read = Callable[[], tuple[DataSetFacts, Samples, Samples | None]]


def _reader(section: Data) -> tuple[str, _Read]:
    """Return what the data are called in errors, and the function that reads them."""
    path = Path(section.dataset.removeprefix(FOLDER))
    match section.source:
        case "npz":
            return clean_path(path), lambda: _from_arrays(path.name, open_npz(path), section)
        case "folder":
            return clean_path(path), lambda: _from_folder(path)
        case "code" | "named":
            name = clean(section.dataset, 100)
            return f'data.dataset = "{name}"', lambda: _from_arrays(name, _call(section), section)


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
    return Array(values.dtype.kind, values.dtype.itemsize, values.shape, lambda: values)


def _from_arrays(
    title: str, arrays: Mapping[str, Array], section: Data
) -> tuple[DataSetFacts, Samples, Samples | None]:
    facts = facts_of_arrays(title, arrays, section.classes)
    train = _samples(arrays["x"], arrays["y"], facts.form)
    return facts, train, _samples(arrays["x_val"], arrays["y_val"], facts.form) if facts.val else None


def _samples(x: Array, y: Array, form: Form) -> Samples:
    targets = torch.from_numpy(np.ascontiguousarray(y.read()))
    if form.classes is None:
        targets = targets.reshape(len(targets), *form.target)
        _refuse_not_finite(targets, "y")
    else:
        targets = targets.long()
    return Samples(_inputs(x.read(), form), targets)


def _inputs(values: NDArray[np.generic], form: Form) -> Tensor:
    """Return inputs as they are kept: images with their channels first, numbers of types that torch knows."""
    if form.kind == "images":
        values = values.transpose(0, 3, 1, 2) if are_channels_last(values.shape) else values
    elif wider := _WIDER.get(f"{values.dtype.kind}{values.dtype.itemsize}"):
        values = values.astype(wider)
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    return torch.from_numpy(native).reshape(len(values), *form.shape)


def _from_folder(folder: Path) -> tuple[DataSetFacts, Samples, Samples | None]:
    """Decode all pictures of a folder. Raises ValueError for one that is damaged or of another size than the first."""
    facts, pictures = facts_of_folder(folder), pictures_in(folder)
    train = _decode(pictures.train, facts.form, folder)
    return facts, train, _decode(pictures.val, facts.form, folder) if pictures.val else None


def _decode(pictures: Sequence[Picture], form: Form, folder: Path) -> Samples:
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
    inputs = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    return Samples(inputs, torch.tensor([picture.label for picture in pictures]))


def _split(samples: Samples, held_out: int) -> tuple[Samples, Samples]:
    """Return the samples held out, and the others: the same ones in every run."""
    order = torch.argsort(random_bits(0, 0, torch.arange(len(samples)), _SPLIT_DRAW), stable=True)
    return samples.only(order[:held_out].sort().values), samples.only(order[held_out:].sort().values)


def _moments(images: Tensor, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation of each channel of uint8 (N, C, H, W), over `scale`; from exact sums."""
    sums, squares = [torch.zeros(images.shape[1], dtype=torch.int64) for _ in range(2)]
    for start in range(0, len(images), _CHUNK):
        pixels = images[start : start + _CHUNK].long()
        sums += pixels.sum((0, 2, 3))
        squares += pixels.square().sum((0, 2, 3))
    count = len(images) * images.shape[2] * images.shape[3]
    means, deviations = [], []
    for total, square in zip(sums.tolist(), squares.tolist(), strict=True):
        means.append(total / count / scale)
        # A channel that is all one colour stays as it is.
        deviations.append(math.sqrt(count * square - total**2) / count / scale or 1.0)
    return tuple(means), tuple(deviations)


def _refuse_not_finite(values: Tensor, name: str) -> None:
    """Raise ValueError with the first sample of (N, ...) that has an infinite number or none."""
    for start in range(0, len(values), _CHUNK):
        is_good = values[start : start + _CHUNK].flatten(1).isfinite().all(1)
        if not is_good.all():
            raise ValueError(f"{name} is not finite in sample {start + int(is_good.logical_not().nonzero()[0])}")
