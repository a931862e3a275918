"""Arrays of the user's own in an .npz file: read without ever running anything that is in it."""

import functools
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fbmon.errors import DataError
from fbmon.recipe.arrays import Array
from fbmon.text import clean_path

if TYPE_CHECKING:
    import zipfile

    import numpy as np

    from fbmon.recipe.arrays import Rows, Values

_LIMIT = 1 << 16  # bytes of a header
_CHUNK = 1 << 24  # bytes read at once
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip's member: it ends with the lengths of its name and extra field


def open_npz(path: Path, *, on_disk: bool = False) -> dict[str, Array]:
    """Return the arrays of a file by name; of their values nothing is read yet.

    If they are to stay `on_disk`, those that lie there row by row, not compressed, are memory-mapped as a whole, or
    read by rows. Raises ValueError with what is wrong, then and when they are read.
    """
    import zipfile  # a hundredth of a second, and few recipes name a file

    import numpy as np  # a tenth

    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read_header = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, is_fortran, dtype = read_header(file, max_header_size=_LIMIT)
                    header = file.tell()
                name = member.filename.removesuffix(".npy")
                array = Array(dtype.kind, dtype.itemsize, tuple(shape), functools.partial(_load, path, name))
                is_stored = member.compress_type == zipfile.ZIP_STORED and not is_fortran
                if on_disk and is_stored and not dtype.hasobject:
                    stored = _Stored(path, name, _start(path, member) + header, tuple(shape), dtype)
                    array = array._replace(read=stored.map, rows=stored.rows)
                arrays[name] = array
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise ValueError(f"is not an .npz file: {error}") from None
    return arrays


def _load(path: Path, name: str) -> "Values":
    """Read an array into memory; its checksum is checked."""
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            values: Values = file[name]
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise ValueError(f"{name} is damaged: {error}") from None
    return values


def refuse_damaged(path: Path, heed: Callable[[], None]) -> None:
    """Read a file from the disk as a whole and check the checksums of its arrays. Raises ValueError.

    `heed` is called again and again meanwhile, and may raise.
    """
    import zipfile
    import zlib

    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            try:
                with archive.open(member) as file:
                    while file.read(_CHUNK):
                        heed()
            except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise ValueError(f"{member.filename.removesuffix('.npy')} is damaged: {error}") from None


class _Stored(NamedTuple):
    """An array that lies in a file row by row."""

    path: Path
    name: str
    start: int  # of its values, in bytes
    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"

    def map(self) -> "Values":
        import numpy as np

        try:
            return np.memmap(self.path, self.dtype, "r", self.start, self.shape)
        except ValueError as error:
            raise ValueError(f"{self.name} is cut off: {error}") from None

    def rows(self, rows: "Rows") -> "Values":
        """Read some rows into memory; a map would end the process where the disk fails or the file was cut off.

        Raises DataError.
        """
        import numpy as np

        size = self.dtype.itemsize * math.prod(self.shape[1:])
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)  # each of rows that follow one another
        values = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        rest = values.reshape(-1).view(np.uint8).data
        try:
            with self.path.open("rb", buffering=0) as file:
                for run in runs:
                    file.seek(self.start + int(run[0]) * size)
                    end = len(run) * size
                    while end and (done := file.readinto(rest[:end])):
                        rest, end = rest[done:], end - done
                    if end:
                        raise DataError(f"{clean_path(self.path)}: {self.name} is cut off")
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"{clean_path(self.path)}: {self.name} cannot be read: {reason}") from None
        return values


def _start(path: Path, member: "zipfile.ZipInfo") -> int:
    """Return the place in a zip where the content of a member begins."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    return int(member.header_offset + _LOCAL_HEADER.size + name + extra)
