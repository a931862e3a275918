"""Images of the user's own in an .npz file: what is in it is read from its headers, and nothing in it is ever run."""

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fbmon.recipe.data_sets import DATA_SETS, DataSetFacts
from fbmon.recipe.schema import Data

_COLOURS = (1, 3)
_LIMIT = 1 << 16  # bytes of a header


class Array(NamedTuple):
    """The type and shape of an array in a file."""

    kind: str  # of numpy: u unsigned, i signed, f float, O objects
    bytes: int  # of a number
    shape: tuple[int, ...]


def facts_of_file(path: Path) -> DataSetFacts:
    """Return the size and look of the images in a file, not normalized.

    Images are `x`, uint8 (N, S, S), (N, C, S, S) or (N, S, S, C); labels `y`, whole numbers (N,) from 0 on; `x_val`
    and `y_val` likewise. Raises ValueError with what is wrong.
    """
    arrays, classes = _headers(path), 0
    x, y = arrays.get("x"), arrays.get("y")
    if x is None or y is None:
        raise ValueError(f"has no array {'x' if x is None else 'y'}, but {', '.join(sorted(arrays)) or 'none at all'}")
    channels, side = _image(x, "x")
    has_val = "x_val" in arrays
    if has_val != ("y_val" in arrays):
        raise ValueError("has only one of x_val and y_val")
    if has_val and _image(arrays["x_val"], "x_val") != (channels, side):
        raise ValueError(f"x_val has images of another shape than x: {arrays['x_val'].shape[1:]} and {x.shape[1:]}")
    for images, labels in (("x", "y"), ("x_val", "y_val")) if has_val else (("x", "y"),):
        count = arrays[images].shape[0]
        classes = max(classes, _classes(path, labels, arrays[labels], (images, count)))
    val = arrays["x_val"].shape[0] if has_val else 0
    ones = (1.0,) * channels
    return DataSetFacts(path.name, x.shape[0], val, channels, side, classes, 255.0, (0.0,) * channels, ones)


def facts_of(section: Data) -> DataSetFacts:
    """Return the facts of a recipe's data set; of a file, with what is held out of it for validation."""
    if not section.is_file:
        return DATA_SETS[section.dataset]
    facts = facts_of_file(Path(section.dataset))
    held_out = round(facts.train * (section.val_share or 0.0))
    return facts if facts.val else replace(facts, train=facts.train - held_out, val=held_out)


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Say whether images of this shape (N, ...) have their colours last."""
    return len(shape) == 4 and shape[3] in _COLOURS and shape[1] == shape[2]


def _image(array: Array, name: str) -> tuple[int, int]:
    """Return channels and side. Raises ValueError."""
    if array.kind == "O":
        raise ValueError(f"{name} holds Python objects, which are never loaded")
    if (array.kind, array.bytes) != ("u", 1):
        raise ValueError(f"{name} is of type {array.kind}{array.bytes}, but images must be uint8")
    shape = array.shape
    if len(shape) == 3:
        channels, height, width = 1, *shape[1:]
    elif is_channels_last(shape):
        height, width, channels = shape[1:]
    elif len(shape) == 4:
        channels, height, width = shape[1:]
    else:
        raise ValueError(f"{name} has the shape {shape}, but must be (N, S, S), (N, C, S, S) or (N, S, S, C)")
    if height != width or not math.prod(shape):
        raise ValueError(f"{name} has the shape {shape}, but images must be square, and at least one")
    return channels, height


def _classes(path: Path, name: str, array: Array, labelled: tuple[str, int]) -> int:
    import numpy as np  # a tenth of a second to import, and few recipes name a file

    images, count = labelled
    if array.kind not in "ui" or array.shape != (count,):
        raise ValueError(f"{name} must be whole numbers, one for each of the {count:,} images of {images}")
    with np.load(path, allow_pickle=False) as file:
        labels = file[name]
    if labels.min() < 0:
        raise ValueError(f"{name} has the label {int(labels.min())}; labels count from 0")
    return int(labels.max()) + 1


def _headers(path: Path) -> dict[str, Array]:
    import zipfile  # a hundredth of a second, and few recipes name a file

    import numpy as np

    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(file, max_header_size=_LIMIT)
                arrays[name.removesuffix(".npy")] = Array(dtype.kind, dtype.itemsize, tuple(shape))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise ValueError(f"is not an .npz file: {error}") from None
    return arrays
