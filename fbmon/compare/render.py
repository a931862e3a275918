"""A table as text, CSV, Markdown or LaTeX, and runs as plain data for JSON."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, assert_never

from fbmon.compare.fields import AGGREGATES, find
from fbmon.compare.group import Group, Spread
from fbmon.compare.run import Run
from fbmon.compare.table import Cell, Format, Table
from fbmon.text import clean

_LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--",
}  # fmt: skip

_GAP = "  "  # between columns of text
_LEAST_NAME = 16  # signs of the first column that are left where there is little room


def render(table: Table, wanted: Format) -> str:
    """The whole table, in lines that end with a newline."""
    match wanted:
        case "text":
            return text(table)
        case "csv":
            return csv_text(table)
        case "markdown":
            return markdown(table)
        case "latex":
            return latex(table)
        case _:
            assert_never(wanted)


def text(table: Table) -> str:
    """Columns two blanks apart, numbers on the right."""
    cells = _with_headings(table, lambda cell: cell)
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
    widths = _widths(_with_headings(table, lambda cell: cell))
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
    rows = tuple((replace(first, text=_middle_cut(first.text, width)), *others) for first, *others in table.rows)
    return replace(table, rows=rows)


def _middle_cut(name: str, width: int) -> str:
    """Its beginning and its end: runs of one recipe differ at the end."""
    if _width(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def csv_text(table: Table) -> str:
    """Names and full-precision values; of a group `X`, `X.sd` and `X.n`. Unknown values are empty."""
    spreads = [any(row[place].spread for row in table.rows) for place in range(len(table.columns))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        name
        for column, is_spread in zip(table.columns, spreads, strict=True)
        for name in ([column.name, f"{column.name}.sd", f"{column.name}.n"] if is_spread else [column.name])
    )
    for row in table.rows:
        writer.writerow(
            value
            for cell, is_spread in zip(row, spreads, strict=True)
            for value in (_spread_values(cell.spread) if is_spread else [_plain(cell)])
        )
    return out.getvalue()


def markdown(table: Table) -> str:
    """A table as GitHub and others read it."""
    heading, *rows = _with_headings(table, lambda cell: cell.replace("\\", "\\\\").replace("|", "\\|"))
    rule = ["---:" if column.is_right else "---" for column in table.columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in [heading, rule, *rows])


def latex(table: Table) -> str:
    """A tabular with the rules of the package booktabs."""
    heading, *rows = _with_headings(table, lambda cell: "".join(_LATEX_SIGNS.get(sign, sign) for sign in cell))
    sides = "".join("r" if column.is_right else "l" for column in table.columns)
    body = "".join(f"{' & '.join(row)} \\\\\n" for row in rows)
    return (
        f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n{' & '.join(heading)} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def run_data(run: Run) -> dict[str, Any]:
    """A run as JSON has it: everything that columns can show, and the settings."""
    names = (
        "run",
        "path",
        "recipe",
        "state",
        "reason",
        "step",
        "steps",
        "clipped",
        "reported",
        "difference",
        "damaged",
    )
    data: dict[str, Any] = {name: find(name).value(run) for name in names}
    data |= {
        "seconds": run.summary.elapsed,
        "device_hours": find("device_hours").value(run),
        "last_sign": run.last_sign,
    }
    data["metrics"] = {
        name: {aggregate: find(f"{aggregate}.{name}").value(run) for aggregate in AGGREGATES}
        for name in run.summary.metrics
    }
    return data | {"settings": run.settings}


def group_data(group: Group, table_row: Sequence[Cell], names: Sequence[str]) -> dict[str, Any]:
    """A group as JSON has it: its row, a spread as mean, sd and n, and the names of its runs."""
    cells: dict[str, Any] = {}
    for name, cell in zip(names, table_row, strict=True):
        spread = cell.spread
        cells[name] = {"mean": spread.mean, "sd": spread.sd, "n": spread.n} if spread else cell.value
    return cells | {"runs": [run.name for run in group.runs]}


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*cells, strict=True)]


def _with_headings(table: Table, change: Callable[[str], str]) -> list[list[str]]:
    heading = [change(column.heading) for column in table.columns]
    return [heading, *([change(clean(cell.text, 200)) for cell in row] for row in table.rows)]


def _plain(cell: Cell) -> Any:  # noqa: ANN401 - what csv writes
    return clean(cell.value, 4096) if isinstance(cell.value, str) else cell.value


def _spread_values(spread: Spread | None) -> list[float | None]:
    return [spread.mean, spread.sd, spread.n] if spread else [None, None, None]


def _width(cell: str) -> int:
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len  # knows the signs that are two cells wide; most tables have none

    return cell_len(cell)
