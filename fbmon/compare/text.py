"""A table as text for people, and how it fits into a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fbmon.compare.table import Table
from fbmon.text import clean

_GAP = "  "  # between columns of text
_LEAST_NAME = 16  # signs of the first column that are left where there is little room


def text(table: Table) -> str:
    """Columns two blanks apart, numbers on the right."""
    cells = with_headings(table, lambda cell: cell)
    widths = _widths(cells)
    lines = []
    for row in cells:
        padded = [
            " " * (width - _width(cell)) + cell if column.is_right else cell + " " * (width - _width(cell))
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ]
        lines.append(_GAP.join(padded).rstrip() + "\n")
    return "".join(lines)


def stacked(table: Table, width: int) -> list[Table]:
    """The table in as many as it takes to fit into `width`, one below the other, each with the first column.

    The first column, mostly names, is shortened in the middle where that helps.
    """
    widths = _widths(with_headings(table, lambda cell: cell))
    others = [len(_GAP) + needed for needed in widths[1:]]
    if widths[0] + sum(others) > width:
        room = width - sum(others)
        widths[0] = min(widths[0], max(_LEAST_NAME, room if room >= _LEAST_NAME else width // 3))
    groups: list[list[int]] = [[0]]
    used = widths[0]
    for place, needed in enumerate(others, 1):
        if used + needed > width and len(groups[-1]) > 1:
            groups.append([0])
            used = widths[0]
        groups[-1].append(place)
        used += needed
    return [_shortened(table.only(group), widths[0]) for group in groups]


def _shortened(table: Table, width: int) -> Table:
    rows = tuple((replace(first, text=middle_cut(first.text, width)), *others) for first, *others in table.rows)
    return replace(table, rows=rows)


def middle_cut(name: str, width: int) -> str:
    """Its beginning and its end: runs of one recipe differ at the end."""
    if _width(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def with_headings(table: Table, change: Callable[[str], str]) -> list[list[str]]:
    """The headings and the cells' texts, row by row, each put through `change`."""
    heading = [change(column.heading) for column in table.columns]
    return [heading, *([change(clean(cell.text, 200)) for cell in row] for row in table.rows)]


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*cells, strict=True)]


def _width(cell: str) -> int:
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len  # knows the signs that are two cells wide; most tables have none

    return cell_len(cell)
