"""`fbmon export`: runs in the formats of other tools."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import print_json
from fbmon.cli.tables import Runs, no_run_message
from fbmon.errors import UsageError
from fbmon.text import clean


class To(StrEnum):
    """The formats."""

    TENSORBOARD = "tensorboard"
    CSV = "csv"
    JSONL = "jsonl"
    SVG = "svg"
    HTML = "html"


def export(
    runs: Runs = None,
    to: Annotated[
        To,
        typer.Option(
            "--to",
            help="tensorboard: event files; csv, jsonl: one row a step; svg: the charts; html: a report that opens "
            "offline. svg and html put all the runs into one file.",
        ),
    ] = To.HTML,
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("export"),
    force: Annotated[bool, typer.Option("--force", help="Write over files of an earlier export.")] = False,
    json: Json = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Write runs in the formats of other tools, and print what was written. Default: the newest run, as a report.

    \b
    Examples:
      fbmon export
      fbmon export 'fb_*' state:finished --to html
      fbmon export quickstart --to tensorboard --out logs
      fbmon export seed=0 --to csv
    """
    from fbmon import folder as folders
    from fbmon.compare import read, select
    from fbmon.export import export as write

    chosen = select(runs_dir, runs) if runs else [read(folders.find(runs_dir, None))]
    if not chosen:
        raise UsageError(no_run_message(runs_dir, runs or []), "`fbmon runs` lists all")
    written = write(chosen, to.value, out, force=force)
    if json:
        print_json([str(path) for path in written])
        return
    for path in written:
        typer.echo(clean(str(path), 4096))
