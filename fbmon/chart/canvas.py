"""A sheet of character cells: written anywhere, each cell with its role, and read back as rows of runs."""

from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import category, combining

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

Codes = NDArray[np.uint32]
Cells = NDArray[np.bool_]

BLANK = ""


class StyledText(NamedTuple):
    """Neighbouring cells of one role; `text` has one character per cell."""

    text: str
    role: str


@dataclass(frozen=True)
class Drawing:
    """A finished picture: as many rows as were asked for, each exactly as wide as was asked for."""

    rows: tuple[tuple[StyledText, ...], ...]

    def __str__(self) -> str:
        return "\n".join("".join(run.text for run in row) for row in self.rows)


class Canvas:
    """Cells of one Unicode character and one role; what is written beyond the border is cut off."""

    def __init__(self, width: int, height: int) -> None:
        self._codes: Codes = np.full((height, width), ord(" "), np.uint32)
        self._roles = np.zeros((height, width), np.intp)
        self._names = [BLANK]

    def write(self, row: int, column: int, text: str, role: str) -> None:
        codes = np.array([ord(character) for character in one_cell_each(text)], np.uint32)
        room = self._codes[row, column : column + len(codes)]
        room[:] = codes[: len(room)]
        self._roles[row, column : column + len(codes)] = self._number(role)

    def stamp(self, row: int, column: int, codes: Codes, role: str, where: Cells) -> None:
        """Write a block of codes, its upper left corner at (row, column), in the cells `where` is true."""
        block = (slice(row, row + codes.shape[0]), slice(column, column + codes.shape[1]))
        self._codes[block][where] = codes[where]
        self._roles[block][where] = self._number(role)

    def drawing(self) -> Drawing:
        height, width = self._codes.shape
        text = self._codes.astype("<u4").tobytes().decode("utf-32-le")
        changes: list[list[int]] = [[0] for _ in range(height)]
        for row, column in np.argwhere(self._roles[:, 1:] != self._roles[:, :-1]).tolist():
            changes[row].append(column + 1)
        roles = self._roles.tolist()
        return Drawing(
            tuple(
                self._runs(text[row * width : (row + 1) * width], roles[row], changes[row]) if width else ()
                for row in range(height)
            )
        )

    def _number(self, role: str) -> int:
        if role not in self._names:
            self._names.append(role)
        return self._names.index(role)

    def _runs(self, text: str, roles: list[int], starts: list[int]) -> tuple[StyledText, ...]:
        stretches = zip(starts, [*starts[1:], len(text)], strict=True)
        return tuple([StyledText(text[start:stop], self._names[roles[start]]) for start, stop in stretches])


def one_cell_each(text: str) -> str:
    """Return `text` with `?` for every character that a terminal does not draw in exactly one cell."""
    return text if text.isascii() and text.isprintable() else "".join(map(_one_cell, text))


def _one_cell(character: str) -> str:
    if character == " ":
        return character
    unseen = category(character)[0] in "CZM" or combining(character)
    # By Rich, which lays the rows out: Python's own table is as old as Python, and widths change with Unicode.
    return "?" if unseen or cell_len(character) != 1 else character
