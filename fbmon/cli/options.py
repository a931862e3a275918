"""The options and arguments that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fbmon.cli.complete import column_names, run_names
from fbmon.errors import UsageError

if TYPE_CHECKING:
    from fbmon.compare.table import Format


class Ui(StrEnum):
    """The ways to show a run."""

    AUTO = "auto"
    FULL = "full"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"


RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="FBMON_RUNS", help="The folder that holds all runs.")]


def _run_argument(default: str) -> Any:  # noqa: ANN401 - as Typer declares it
    return typer.Argument(
        metavar="[RUN]",
        help=f"A run: its path, its name, or the beginning of its name. Default: {default}.",
        autocompletion=run_names,
    )


RunArgument = Annotated[str | None, _run_argument("the newest that is running or has taken a step")]
RunningArgument = Annotated[str | None, _run_argument("the newest that is running")]
UiOption = Annotated[
    Ui,
    typer.Option(
        "--ui",
        envvar="FBMON_UI",
        help="full: a screen; plain or json: lines; none: nothing; auto: full in a terminal, else plain.",
    ),
]
NoUi = Annotated[bool, typer.Option("--no-ui", metavar="", help="Same as --ui plain.")]
Detach = Annotated[
    bool, typer.Option("--detach", metavar="", help="Start in the background, print the run's folder, and exit.")
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON instead of a table.")]

DEFAULT_RUNS_DIR = Path("runs")

Columns = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...", help="The columns, such as run,best.val_accuracy,time; +A,B adds to the default ones."
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN[:HOW]",
        help="Sort by a column, such as val_accuracy:max, loss or optimizer.lr:desc; best first.",
        autocompletion=column_names,
    ),
]
Csv = Annotated[bool, typer.Option("--csv", metavar="", help="Print CSV, with values at full precision.")]
Markdown = Annotated[bool, typer.Option("--markdown", metavar="", help="Print a Markdown table.")]
Latex = Annotated[bool, typer.Option("--latex", metavar="", help="Print a LaTeX table (booktabs).")]


def choose_form(*, csv: bool, markdown: bool, latex: bool, json: bool) -> "Format | Literal['json']":
    """Return the requested form of a table. Raises UsageError if there are several."""
    options: dict[Format | Literal["json"], bool] = {"csv": csv, "markdown": markdown, "latex": latex, "json": json}
    asked = [name for name, is_wanted in options.items() if is_wanted]
    if len(asked) > 1:
        raise UsageError(f"{' '.join(f'--{name}' for name in asked)}: choose one of them")
    return asked[0] if asked else "text"


def choose_ui(ui: Ui, no_ui: bool) -> Ui:
    """Return how to show a run, as requested and possible here, never AUTO. Raises UsageError if `full` is not."""
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
