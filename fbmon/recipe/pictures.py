"""Data of the user's own as a folder of pictures: a folder for each class, perhaps below `train` and `val`."""

from pathlib import Path
from typing import NamedTuple

from fbmon.recipe.data_sets import DataSetFacts, Form

_TYPES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_GREY = ("1", "L")  # modes of a picture; all others are read as red, green and blue


class Picture(NamedTuple):
    """A file and the number of its class."""

    path: Path
    label: int


class Pictures(NamedTuple):
    """The pictures of a folder, in the order of their paths, and the names of the classes."""

    train: list[Picture]
    val: list[Picture]
    classes: list[str]


def pictures_in(folder: Path) -> Pictures:
    """Return the pictures of a folder; classes are numbered in the order of their names. Raises ValueError."""
    try:
        names = _folders(folder)
        if "train" not in names:
            return Pictures(_pictures(folder, names), [], names)
        if "val" not in names:
            raise ValueError("has a folder train, but no folder val")
        classes, others = _folders(folder / "train"), _folders(folder / "val")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    if unknown := sorted(set(others) - set(classes)):
        raise ValueError(f"has pictures of a class for validation alone: {unknown[0]}")
    return Pictures(_pictures(folder / "train", classes), _pictures(folder / "val", classes), classes)


def facts_of_folder(folder: Path) -> DataSetFacts:
    """Return the size and look of a folder's pictures, which is that of the first. Raises ValueError."""
    pictures = pictures_in(folder)
    channels, height, width = look_of(pictures.train[0].path)
    form = Form("images", (channels, height, width), len(pictures.classes))
    counts = len(pictures.train), len(pictures.val)
    return DataSetFacts(folder.name, *counts, form, 255.0, (0.0,) * channels, (1.0,) * channels)


def look_of(path: Path) -> tuple[int, int, int]:
    """Return channels, height and width of a picture, from its header. Raises ValueError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return 1 if image.mode in _GREY else 3, image.height, image.width
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path.name} is no picture: {error}") from None


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path, classes: list[str]) -> list[Picture]:
    pictures = []
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue
        paths = sorted((folder / name).iterdir())
        pictures += [Picture(path, label) for path in paths if path.suffix.lower() in _TYPES]
    if not pictures:
        raise ValueError(f"has no pictures in folders of classes, such as {folder.name}/cat/1.png")
    return pictures
