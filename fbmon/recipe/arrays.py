"""Data of the user's own as arrays `x` and `y`, perhaps `x_val` and `y_val`: what they are, or what is wrong with them.

`x` is one of
  images   uint8 (N, H, W), (N, C, H, W) or (N, H, W, C)
  numbers  floating-point (N, ...)
  tokens   whole (N, ...): all that are no images, uint8 (N, T) too
and `y` one of
  classes  whole (N, ...), from 0 on
  numbers  floating-point (N, ...), where (N,) is taken as (N, 1), as networks return it
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from fbmon.recipe.data_sets import DataSetFacts, Form, Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.generic]
    Rows = NDArray[np.int64] | slice  # a slice from the first row to the last, in steps of 1

_COLOURS = (1, 3)
_CHUNK = 1 << 24  # numbers looked at together


class Array(NamedTuple):
    """An array as its header describes it, and how its values are read: into memory, or from the disk as needed."""

    kind: str  # of numpy: u unsigned, i signed, f float, O objects
    bytes: int  # of a number
    shape: tuple[int, ...]
    read: "Callable[[], Values]"
    rows: "Callable[[Rows], Values] | None" = None  # reads some rows from the disk; None: they are not there one by one

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.bytes * math.prod(self.shape)

    @property
    def type(self) -> str:
        return {"U": "text", "S": "text", "b": "bool"}.get(self.kind, f"{self.kind}{self.bytes}")


def facts_of_arrays(title: str, arrays: Mapping[str, Array], classes: int | None = None) -> DataSetFacts:
    """Return the size and look of arrays, with as many classes as asked for, or as the labels have.

    Images are seen as they are, neither moved nor scaled. Of the values only targets and tokens are read. Raises
    ValueError with what is wrong.
    """
    for name in ("x", "y"):
        if name not in arrays:
            raise ValueError(f"has no array {name}, but {', '.join(sorted(arrays)) or 'none at all'}")
    if ("x_val" in arrays) != ("y_val" in arrays):
        raise ValueError("has only one of x_val and y_val")
    parts = ["", "_val"] if "x_val" in arrays else [""]
    forms = [_form(arrays, part) for part in parts]
    for name, index in (("x", 0), ("y", 1)):
        alike = {(*form[index], arrays[f"{name}{part}"].kind) for part, form in zip(parts, forms, strict=True)}
        if len(alike) > 1:
            shapes = f"{arrays[f'{name}_val'].shape[1:]} and {arrays[name].shape[1:]}"
            raise ValueError(f"{name}_val is of another shape or type than {name}: {shapes}")
    (kind, *shape), (are_classes, *target) = forms[0]
    if are_classes:
        highest = max(_highest(f"y{part}", arrays[f"y{part}"], "label") for part in parts)
        if classes is not None and highest >= classes:
            raise ValueError(f"y has the label {highest}, but data.classes is {classes}")
        classes = classes or highest + 1
    elif classes is not None:
        raise ValueError(f"y has numbers, of type {arrays['y'].type}: leave data.classes out")
    vocabulary = None
    if kind == "tokens":
        vocabulary = 1 + max(_highest(f"x{part}", arrays[f"x{part}"], "token") for part in parts)
    form = Form(kind, tuple(shape), classes, tuple(target), vocabulary)
    train, val = arrays["x"].shape[0], arrays["x_val"].shape[0] if "x_val" in arrays else 0
    if kind != "images":
        return DataSetFacts(title, train, val, form)
    channels = shape[0]
    return DataSetFacts(title, train, val, form, 255.0, (0.0,) * channels, (1.0,) * channels)


def are_channels_last(shape: tuple[int, ...]) -> bool:
    """Say whether images of this shape, (N, H, W, C) or (N, C, H, W), have their colours last."""
    return len(shape) == 4 and shape[3] in _COLOURS and shape[1] not in _COLOURS


def _form(
    arrays: Mapping[str, Array], part: str
) -> "tuple[tuple[Kind, *tuple[int, ...]], tuple[bool, *tuple[int, ...]]]":
    """Return kind and shape of an input, and whether targets are classes and the shape of one. Raises ValueError."""
    x, y = arrays[f"x{part}"], arrays[f"y{part}"]
    for name, array in ((f"x{part}", x), (f"y{part}", y)):
        if array.kind == "O":
            raise ValueError(f"{name} holds Python objects, which are never loaded")
        if array.kind not in "uif":
            raise ValueError(f"{name} is of type {array.type}, but must be whole or floating-point numbers")
        if not math.prod(array.shape):
            raise ValueError(f"{name} has the shape {array.shape}: nothing is in it")
    if len(x.shape) < 2:
        raise ValueError(f"x{part} has the shape {x.shape}; an input has a shape of its own, so two dimensions or more")
    if not y.shape or y.shape[0] != x.shape[0]:
        raise ValueError(f"y{part} has the shape {y.shape}, but x{part} has {x.shape[0]:,} samples")
    target = y.shape[1:] if y.kind != "f" else y.shape[1:] or (1,)
    return _input(x, f"x{part}"), (y.kind != "f", *target)


def _input(array: Array, name: str) -> "tuple[Kind, *tuple[int, ...]]":
    shape = array.shape
    if array.kind == "f":
        return "numbers", *shape[1:]
    if array.type != "u1" or len(shape) == 2:
        return "tokens", *shape[1:]
    if len(shape) == 3:
        return "images", 1, *shape[1:]
    if len(shape) != 4:
        raise ValueError(f"{name} is uint8 of shape {shape}, but images are (N, H, W), (N, C, H, W) or (N, H, W, C)")
    return ("images", shape[3], *shape[1:3]) if are_channels_last(shape) else ("images", *shape[1:])


def _highest(name: str, array: Array, noun: str) -> int:
    """Return the highest of whole numbers that count from 0. Raises ValueError."""
    values = array.read().reshape(-1)
    lowest, highest = 0, 0
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        lowest, highest = min(lowest, int(chunk.min())), max(highest, int(chunk.max()))
    if lowest < 0:
        raise ValueError(f"{name} has the {noun} {lowest}; {noun}s count from 0")
    return highest
