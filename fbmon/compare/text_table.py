"""A table as text for people, and how it fits into a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fbmon.compare.cut import cells as width_of
from fbmon.compare.cut import told_apart
from fbmon.compare.table import Table
from fbmon.text import clean

_GAP = "  "  # between columns of text
_LEAST_NAME = 16  # signs of the first column that are left where there is little room


def text(table: Table) -> str:
    """Return a table in columns two blanks apart, numbers on the right."""
    cells = with_headings(table, lambda cell: cell)
    widths = _widths(cells)
    lines = []
    for row in cells:
        padded = [
            " " * (width - width_of(cell)) + cell if column.is_right else cell + " " * (width - width_of(cell))
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ]
        lines.append(_GAP.join(padded).rstrip() + "\n")
    return "".join(lines)


def stacked(table: Table, width: int) -> list[Table]:
    """Split a table into as many as fit into `width`, one below the other, each with the first column.

    The first column, mostly names, is shortened in the middle where that helps.
    """
    widths = _widths(with_headings(table, lambda cell: cell))
    others = [len(_GAP) + needed for needed in widths[1:]]
    if widths[0] + sum(others) > width:
        room = width - sum(others)
        widths[0] = min(widths[0], max(_LEAST_NAME, room if room >= _LEAST_NAME else width // 3))
    groups: list[list[int]] = [[0]]
    used = widths[0]
    for column, needed in enumerate(others, 1):
        if used + needed > width and len(groups[-1]) > 1:
            groups.append([0])
            used = widths[0]
        groups[-1].append(column)
        used += needed
    return [_shortened(table.only(group), widths[0]) for group in groups]


def _shortened(table: Table, width: int) -> Table:
    names = told_apart([clean(row[0].text) for row in table.rows], width)
    rows = tuple((replace(row[0], text=name), *row[1:]) for name, row in zip(names, table.rows, strict=True))
    return replace(table, rows=rows)


def with_headings(table: Table, change: Callable[[str], str]) -> list[list[str]]:
    """Return the headings and the cells' texts, row by row, each put through `change`."""
    heading = [change(column.heading) for column in table.columns]
    return [heading, *([change(clean(cell.text, 200)) for cell in row] for row in table.rows)]


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width_of, column)) for column in zip(*cells, strict=True)]
