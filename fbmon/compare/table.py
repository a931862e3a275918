"""Runs or groups laid out in rows and columns: every cell with its value and as people read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fbmon.compare.facts import Field, Value
from fbmon.compare.group import Group, Spread
from fbmon.compare.run import Run
from fbmon.text import clean

_MIXED = "mixed"  # the settings that are not the same in a group

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

    def only(self, indices: Sequence[int]) -> "Table":
        """Return the table with only the columns at these indices."""
        rows = tuple(tuple(row[index] for index in indices) for row in self.rows)
        return Table(tuple(self.columns[index] for index in indices), rows)


def lay_out(runs: Sequence[Run], columns: Sequence[Field]) -> Table:
    """Return a table with one row per run."""
    rows = tuple(tuple(_cell(run, column) for column in columns) for run in runs)
    return Table(columns_of(columns), rows)


def lay_out_groups(groups: Sequence[Group], by: Field, columns: Sequence[Field]) -> Table:
    """Return one row per group: its common value, size and states, and every number as mean ± standard deviation.

    A number that only some of its finished runs have says how many. If a group averages runs that differ in settings
    other than the seed, a column names these settings.
    """
    headings = columns_of_groups(groups, by, columns)
    has_mixed = any(column.name == _MIXED for column in headings)
    rows = tuple(
        (
            Cell(by.show(group.value), group.value),
            Cell(str(len(group.finished)), len(group.finished)),
            *([_mixed_cell(group)] if has_mixed else []),
            *(_group_cell(group, column) for column in _of_groups(by, columns)),
        )
        for group in groups
    )
    return Table(headings, rows)


def columns_of(columns: Sequence[Field]) -> tuple[Column, ...]:
    """Return the columns of a table of runs."""
    return tuple(Column(field.name, clean(field.heading), field.is_right) for field in columns)


def columns_of_groups(groups: Sequence[Group], by: Field, columns: Sequence[Field]) -> tuple[Column, ...]:
    """Return the columns of a table of these groups."""
    first = [Column(by.name, by.heading, is_right=False), Column("n", "n", is_right=True)]
    mixed = [Column(_MIXED, "differ in", is_right=False)] if any(group.mixed for group in groups) else []
    return (*first, *mixed, *columns_of(_of_groups(by, columns)))


def _of_groups(by: Field, columns: Sequence[Field]) -> list[Field]:
    return [column for column in columns if column.name not in (by.name, "run", "seed", "seen", "path")]


def _mixed_cell(group: Group) -> Cell:
    names = ", ".join(group.mixed)
    return Cell(names or "–", names or None)


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
    text = _spread_text(spread, field.show)
    return Cell(text if spread.n == len(group.finished) else f"{text} (n = {spread.n})", spread.mean, spread)


def _spread_text(spread: Spread, show: Callable[[Value], str]) -> str:
    """Return mean ± standard deviation; with a power of ten, both in its unit: (1.15 ± 1.00)e+12."""
    text = show(_whole(spread.mean))
    if not spread.sd and (spread.sd is None or spread.mean.is_integer()):  # as the number of steps is
        return text
    exponent = text.partition("e")[2]
    if exponent.lstrip("+-").isdecimal():
        unit = 10.0 ** int(exponent)
        return f"({spread.mean / unit:.2f} ± {(spread.sd or 0.0) / unit:.2f})e{exponent}"
    return f"{text} ± {show(_whole(spread.sd or 0.0)).removeprefix('+')}"


def _whole(number: float) -> float | int:
    """Return a whole number without its decimal point, as steps have it."""
    return int(number) if number.is_integer() else number
