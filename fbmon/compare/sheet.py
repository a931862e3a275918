"""The table of a comparison on a screen: its current rows, in their order; some marked, some hidden."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fbmon.compare.facts import Field, Value
from fbmon.compare.group import Group, group_by
from fbmon.compare.order import in_order
from fbmon.compare.run import Run
from fbmon.compare.table import Cell, Column, columns_of, columns_of_groups, lay_out, lay_out_groups


@dataclass(frozen=True)
class Row:
    """A run, or a group of runs; its key stays the same while its numbers change."""

    key: str
    label: str
    runs: tuple[Run, ...]
    cells: tuple[Cell, ...]

    @property
    def paths(self) -> list[Path]:
        return [run.path for run in self.runs]

    @property
    def counted(self) -> tuple[Run, ...]:
        """Return the runs that the curve averages: the finished ones, as for its numbers; if there are none, all."""
        return Group(None, self.runs).finished or self.runs


MOST_UNMARKED = 20  # rows whose curves are drawn where none is marked
MOST_MARKED = 30  # more could not be told apart
MOST_RUNS = 200  # behind the curves: a megabyte each of a usual run


class Sheet:
    """The runs of a table and their arrangement. `by` makes one row of all runs alike in that field."""

    def __init__(self, runs: Sequence[Run], columns: Sequence[Field], by: Field | None = None) -> None:
        self.runs = list(runs)
        self.columns = list(columns)
        self.by = by
        self.order: tuple[Field, bool] | None = None  # and whether the largest value comes first
        self.marked: set[Path] = set()
        self.hidden: set[Path] = set()

    def headings(self) -> tuple[Column, ...]:
        """Return the columns of the rows."""
        if self.by is None:
            return columns_of(self.columns)
        return columns_of_groups(group_by(self._shown(), self.by), self.by, self.columns)

    def rows(self) -> list[Row]:
        """Return the rows that are not hidden, sorted; a row whose value is unknown comes last."""
        runs = self._shown()
        if self.by is None:
            return self._sorted(_of_runs(runs, self.columns), None)
        return self._sorted(_of_groups(group_by(runs, self.by), self.by, self.columns), self.by)

    def is_marked(self, row: Row) -> bool:
        """Say whether all runs of a row are marked."""
        return self.marked.issuperset(row.paths)

    def drawn(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows whose curves are shown: the marked ones, or else the first; a group with all its runs."""
        marked = [row for row in rows if self.is_marked(row)]
        drawn: list[Row] = []
        for row in marked[:MOST_MARKED] or rows[:MOST_UNMARKED]:
            if sum(len(candidate.counted) for candidate in [*drawn, row]) <= MOST_RUNS:
                drawn.append(row)
        return drawn

    def mark(self, row: Row) -> None:
        """Mark the runs of a row, or unmark them."""
        self.marked = self.marked - set(row.paths) if self.is_marked(row) else self.marked | set(row.paths)

    def hide(self, row: Row) -> None:
        self.hidden |= set(row.paths)
        self.marked -= set(row.paths)

    def sort(self, field: Field) -> None:
        """Sort by a field, best first; by the same field again, in the opposite order."""
        descending = field.direction == "descending"
        self.order = (field, not self.order[1] if self.order and self.order[0].name == field.name else descending)

    def update(self, runs: Iterable[Run]) -> None:
        """Replace the runs by these newer readings of them."""
        new = {run.path: run for run in runs}
        self.runs = [new.get(run.path, run) for run in self.runs]

    def field(self, column: int) -> Field | None:
        """Return the field of a column of the rows; None for the number of runs in a group."""
        name = self.headings()[column].name
        return next((field for field in [*self.columns, *([self.by] if self.by else [])] if field.name == name), None)

    def _shown(self) -> list[Run]:
        return [run for run in self.runs if run.path not in self.hidden]

    def _sorted(self, rows: list[Row], by: Field | None) -> list[Row]:
        if self.order is None:
            return rows
        field, descending = self.order
        return in_order(rows, [_value(row, field, by) for row in rows], descending)


def _of_runs(runs: Sequence[Run], columns: Sequence[Field]) -> list[Row]:
    table = lay_out(runs, columns)
    return [Row(str(run.path), run.name, (run,), cells) for run, cells in zip(runs, table.rows, strict=True)]


def _of_groups(groups: Sequence[Group], by: Field, columns: Sequence[Field]) -> list[Row]:
    table = lay_out_groups(groups, by, columns)
    return [
        Row(f"{by.name}={group.value}", by.show(group.value), group.runs, cells)
        for group, cells in zip(groups, table.rows, strict=True)
    ]


def _value(row: Row, field: Field, by: Field | None) -> Value:
    """Return the value that a row is sorted by."""
    if by is None or field.name == by.name:
        return field.rank(row.runs[0])
    if not field.is_number:
        return Group(None, row.runs).texts(field)
    spread = Group(None, row.runs).spread(field)
    return spread.mean if spread else None
