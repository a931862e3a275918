"""`fbmon export`: runs in the formats of other tools."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import print_json
from fbmon.cli.tables import RunsOrNewest, runs_or_newest
from fbmon.text import clean_path


def export(
    runs: RunsOrNewest = None,
    to: Annotated[
        Literal["tensorboard", "csv", "jsonl", "svg", "html"],
        typer.Option(
            "--to",
            help="tensorboard: event files; csv, jsonl: one row per step; svg: the charts; html: a report that opens "
            "offline. svg and html put all the runs into one file.",
        ),
    ] = "html",
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("export"),
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Overwrite the files of an earlier export.")
    ] = False,
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
    from fbmon.export import export as write

    written = write(runs_or_newest(runs_dir, runs), to, out, force=force)
    if json:
        print_json([str(path) for path in written])
        return
    for path in written:
        typer.echo(clean_path(path))
