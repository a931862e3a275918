"""The options and arguments that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fbmon.cli.complete import run_names
from fbmon.errors import UsageError


class Ui(StrEnum):
    """How a run is shown."""

    AUTO = "auto"
    FULL = "full"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"


RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="FBMON_RUNS", help="The folder that holds all runs.")]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run: its path, name, or how its name begins. Default: the newest.",
        autocompletion=run_names,
    ),
]
UiOption = Annotated[
    Ui,
    typer.Option(
        "--ui",
        envvar="FBMON_UI",
        help="full screen, plain lines, json lines, or none; auto: full in a terminal, else plain.",
    ),
]
NoUi = Annotated[bool, typer.Option("--no-ui", help="The same as --ui plain.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

DEFAULT_RUNS_DIR = Path("runs")


def choose_ui(ui: Ui, no_ui: bool) -> Ui:
    """The way of showing that is meant and possible here, never AUTO. Raises UsageError where `full` is impossible."""
    import os
    import sys

    if no_ui:
        return Ui.PLAIN
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if ui == Ui.FULL and not terminal:
        raise UsageError("--ui full: this is not a terminal that can show a screen", "try --ui plain")
    if ui != Ui.AUTO:
        return ui
    return Ui.FULL if terminal and not os.environ.get("CI") else Ui.PLAIN
