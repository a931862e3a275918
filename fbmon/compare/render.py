"""A table as text, CSV, Markdown or LaTeX."""

import csv
import io
from typing import Any, assert_never

from fbmon.compare.group import Spread
from fbmon.compare.table import Cell, Format, Table
from fbmon.compare.text_table import text, with_headings
from fbmon.text import clean

_LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def render(table: Table, form: Format) -> str:
    """Return the whole table, in lines that end with a newline."""
    match form:
        case "text":
            return text(table)
        case "csv":
            return csv_text(table)
        case "markdown":
            return markdown(table)
        case "latex":
            return latex(table)
        case _:
            assert_never(form)


def csv_text(table: Table) -> str:
    """Return names and full-precision values; for a group `X`, `X.sd` and `X.n`. Unknown values are empty."""
    spreads = [any(row[index].spread for row in table.rows) for index in range(len(table.columns))]
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
    """Return a table as GitHub and others read it."""
    heading, *rows = with_headings(table, lambda cell: cell.replace("\\", "\\\\").replace("|", "\\|"))
    rule = ["---:" if column.is_right else "---" for column in table.columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in [heading, rule, *rows])


def latex(table: Table) -> str:
    """Return a tabular with the rules of the package booktabs."""
    heading, *rows = with_headings(table, lambda cell: "".join(_LATEX_SIGNS.get(sign, sign) for sign in cell))
    sides = "".join("r" if column.is_right else "l" for column in table.columns)
    body = "".join(f"{' & '.join(row)} \\\\\n" for row in rows)
    return (
        f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n{' & '.join(heading)} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def _plain(cell: Cell) -> Any:  # noqa: ANN401 - what csv writes
    return clean(cell.value, 4096) if isinstance(cell.value, str) else cell.value


def _spread_values(spread: Spread | None) -> list[float | None]:
    return [spread.mean, spread.sd, spread.n] if spread else [None, None, None]
