"""Runs or groups laid out in rows and columns: every cell with its value and as people read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fbmon.compare.facts import Field, Value
from fbmon.compare.group import Group, Spread
from fbmon.compare.run import Run
from fbmon.text import clean

Format = Literal["text", "csv", "markdown", "latex"]


@dataclass(frozen=True)
class Cell:
    """A value and its text; of a group, the spread."""

    text: str
    value: Value
    spread: Spread | None = None


@dataclass(frozen=True)
class Column:
    """The name that scripts use, the heading that people read, and on which side the cells stand."""

    name: str
    heading: str
    is_right: bool


@dataclass(frozen=True)
class Table:
    """Columns and rows of equal length."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def only(self, places: Sequence[int]) -> "Table":
        """The table with only the columns at these places."""
        rows = tuple(tuple(row[place] for place in places) for row in self.rows)
        return Table(tuple(self.columns[place] for place in places), rows)


def lay_out(runs: Sequence[Run], columns: Sequence[Field]) -> Table:
    """One row a run."""
    rows = tuple(tuple(_cell(run, column) for column in columns) for run in runs)
    return Table(tuple(_column(column) for column in columns), rows)


def lay_out_groups(groups: Sequence[Group], by: Field, columns: Sequence[Field]) -> Table:
    """One row a group: what it has in common, its size and states, and every number as mean ± standard deviation."""
    shown = [column for column in columns if column.name not in (by.name, "run", "seed", "seen", "path")]
    rows = tuple(
        (
            Cell(by.show(group.value), group.value),
            Cell(str(len(group.finished)), len(group.finished)),
            *(_group_cell(group, column) for column in shown),
        )
        for group in groups
    )
    headings = (Column(by.name, by.heading, is_right=False), Column("n", "n", is_right=True))
    return Table((*headings, *(_column(column) for column in shown)), rows)


def _column(field: Field) -> Column:
    return Column(field.name, clean(field.heading), field.is_right)


def _cell(run: Run, field: Field) -> Cell:
    value = field.value(run)
    return Cell(field.show(value), value)


def _group_cell(group: Group, field: Field) -> Cell:
    if not field.is_number:
        text = group.texts(field)
        return Cell(text, text)
    spread = group.spread(field)
    if spread is None:
        return Cell("–", None)
    text = field.show(_whole(spread.mean))
    is_constant = not spread.sd and (spread.sd is None or spread.mean.is_integer())  # as the number of steps is
    sd = "" if is_constant else f" ± {field.show(_whole(spread.sd or 0.0)).removeprefix('+')}"
    return Cell(text + sd, spread.mean, spread)


def _whole(number: float) -> float | int:
    """A whole number without its point, as steps have it."""
    return int(number) if number.is_integer() else number
