"""Choosing runs by a query, and printing them as a table: sorted, grouped, in the form that was asked for."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from fbmon.cli.complete import query_words
from fbmon.cli.output import print_json
from fbmon.errors import UsageError

if TYPE_CHECKING:
    from fbmon.compare import Run
    from fbmon.compare.facts import Field
    from fbmon.compare.table import Format, Table

_NEGATION = re.compile(r"-(?=[A-Za-z_][\w.]*(?:[:=<>]|!=))")


def _runs_argument(default: str) -> Any:  # noqa: ANN401 - as Typer declares it
    return typer.Argument(
        metavar="[RUN|QUERY]...",
        help="Runs by path, name, beginning of a name or glob, and conditions such as state:finished "
        f"optimizer.lr>=0.4 best.val_accuracy>0.95 -name:debug. Default: {default}.",
        autocompletion=query_words,
    )


Runs = Annotated[list[str] | None, _runs_argument("all runs")]
RunsOrNewest = Annotated[list[str] | None, _runs_argument("the newest run")]


class QueryCommand(TyperCommand):
    """A command whose arguments may be negated conditions, as -name:debug, which are no options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer keeps the type to itself
        """Hand `-field:...` on as `!field:...`, which the query language reads alike."""
        return super().parse_args(
            ctx, [_NEGATION.sub("!", arg, count=1) if _NEGATION.match(arg) else arg for arg in args]
        )


def runs_or_newest(runs_dir: Path, runs: list[str] | None) -> "list[Run]":
    """Return the runs that a command is about: by default, the newest one. Raises UsageError if there is none."""
    from fbmon import run as folders
    from fbmon.compare import read, select

    selected = select(runs_dir, runs) if runs else [read(folders.find(runs_dir, None))]
    if not selected:
        raise UsageError(no_run_message(runs_dir, runs or []), "`fbmon runs` lists all")
    return selected


def no_run_message(runs_dir: Path, arguments: list[str]) -> str:
    """Say why a table would be empty."""
    from fbmon.text import clean, clean_path

    return f"no run in {clean_path(runs_dir)}" + (f" matches {clean(' '.join(arguments))}" if arguments else "")


def chosen_runs(runs_dir: Path, arguments: list[str], sort: str | None) -> "list[Run]":
    """Return the runs of a table, in its order."""
    from fbmon.compare import select
    from fbmon.compare.order import sort_by

    runs = select(runs_dir, arguments, _say_that_it_takes_a_while)
    return sort_by(runs, sort) if sort else runs


def _say_that_it_takes_a_while(journals: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"reading {journals:,} journals that have no summary yet ...\n")


def print_table(runs: "list[Run]", columns: "list[Field]", group: str | None, form: "Format") -> None:
    """Print the table of runs, or of groups of runs, in the requested form."""
    from fbmon.compare import fields
    from fbmon.compare.group import group_by
    from fbmon.compare.render import render
    from fbmon.compare.table import lay_out, lay_out_groups

    if group:
        by = fields.find(group, runs)
        table = lay_out_groups(group_by(runs, by), by, columns)
    else:
        table = lay_out(runs, columns)
    if form == "text" and sys.stdout.isatty():
        _print_in_terminal(table)
    else:
        sys.stdout.write(render(table, form))


def print_groups_json(runs: "list[Run]", columns: "Sequence[Field]", group: str) -> None:
    """Print the groups as JSON: every number with mean, sd and n."""
    from fbmon.compare import fields
    from fbmon.compare.group import group_by
    from fbmon.compare.plain_data import group_data
    from fbmon.compare.table import lay_out_groups

    by = fields.find(group, runs)
    groups = group_by(runs, by)
    table = lay_out_groups(groups, by, columns)
    names = [column.name for column in table.columns]
    print_json({"groups": [group_data(grouped, row, names) for grouped, row in zip(groups, table.rows, strict=True)]})


def _print_in_terminal(table: "Table") -> None:
    """Print the table as several, one below the other, if it is too wide for one."""
    import os
    import shutil

    from fbmon.compare.text_table import stacked, text

    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    bold, normal = ("", "") if is_plain else ("\x1b[1m", "\x1b[0m")
    parts = [text(part).partition("\n") for part in stacked(table, shutil.get_terminal_size().columns)]
    sys.stdout.write("\n".join(f"{bold}{heading}{normal}\n{rest}" for heading, _, rest in parts))
