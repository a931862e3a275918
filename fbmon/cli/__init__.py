"""The command line: one file per command, thin: parse, call, print."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from fbmon.cli.compare import compare
from fbmon.cli.doctor import doctor
from fbmon.cli.export import export
from fbmon.cli.flatness import flatness
from fbmon.cli.landscape import landscape
from fbmon.cli.output import discard_output, open_streams, report
from fbmon.cli.plan import plan
from fbmon.cli.recipe import recipe_commands
from fbmon.cli.reproduce import reproduce
from fbmon.cli.resume import resume
from fbmon.cli.run import run
from fbmon.cli.runs import runs
from fbmon.cli.stop import stop
from fbmon.cli.sweep import sweep
from fbmon.cli.tables import QueryCommand
from fbmon.cli.verify import verify
from fbmon.cli.watch import watch
from fbmon.cli.wrong import CommandGroup
from fbmon.errors import Exit, FbmonError, of_system

app = typer.Typer(
    cls=CommandGroup,
    help="Train a network without stochasticity, and watch it live in a terminal.",
    epilog="To begin: `fbmon run quickstart` trains for at most a minute and shows it live; press ? for all keys.\n\n"
    "Exit codes: 0 finished, 1 failed, 2 wrong usage or recipe, 3 not finite or diverged, 4 trainer lost, "
    "5 trainer stuck, 6 not saved, 75 preempted and saved, 130 stopped and saved.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(no_args_is_help=True)(run)
app.command()(watch)
app.command()(stop)
app.command()(resume)
app.command(cls=QueryCommand)(runs)
app.command(cls=QueryCommand)(compare)
app.command(cls=QueryCommand)(export)
app.command(no_args_is_help=True)(plan)
app.command(cls=QueryCommand)(landscape)
app.command(cls=QueryCommand)(flatness)
app.command()(verify)
app.command()(reproduce)
app.command()(sweep)
app.command()(doctor)
app.add_typer(recipe_commands, name="recipe")


def _version(is_given: bool) -> None:
    if is_given:
        import fbmon

        typer.echo(f"fbmon {fbmon.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Train a network without stochasticity, and watch it live in a terminal."""


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def main() -> None:
    """Run the command line; an FbmonError, or one of the system, becomes one sentence on stderr and its exit code."""
    # Imports make only objects that stay: looking for garbage among them takes a tenth of the time to the first paint.
    gc.disable()  # until a run is shown; no other command lives long
    open_streams()
    output = sys.stdout  # Typer puts another in its place, which says nothing of a closed pipe
    if os.getpid() == 1:  # of a container: the kernel passes only signals on that have a handler
        signal.signal(signal.SIGTERM, _end)
    try:
        try:
            app(prog_name="fbmon")
        finally:
            output.flush()  # here, where a full disk can still be told
    except BrokenPipeError:  # `| head`
        discard_output()
        sys.exit(Exit.FAILED)
    except OSError as error:
        discard_output()
        sys.exit(report(of_system(error)))
    except FbmonError as error:
        sys.exit(report(error))
