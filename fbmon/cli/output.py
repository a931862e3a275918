"""The output of the command line: tables and lines by Rich, one error in one place."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fbmon.errors import FbmonError
from fbmon.host.disk import naming
from fbmon.text import clean, clean_lines, clean_path

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console
    from rich.text import Text

    from fbmon.run import RunFolder


def make_console() -> "Console":
    """Return standard output: colours only in a terminal, nothing read as markup, long lines left whole.

    Printing to a pipe that was closed raises BrokenPipeError.
    """
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "the reader is gone")  # Rich would end the process here

    # In a pipe or a file there is no width to keep to: no table is broken or cut there.
    width = None if sys.stdout.isatty() else 10_000
    return Output(markup=False, highlight=False, emoji=False, soft_wrap=True, width=width)


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return rows as lines of columns two blanks apart, the first `left` aligned left, the others, numbers, right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if index < left else ">" for index in range(len(widths))]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def print_columns(console: "Console", widths: Sequence[int], *cells: "str | Text") -> None:
    """Print a row of columns two blanks apart; what is too long for the last one continues below, in that column."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (*widths, None):
        table.add_column(width=width, overflow="fold")
    table.add_row(*cells)
    console.print(table, soft_wrap=False)


def print_json(value: object) -> None:
    """Print a value as indented JSON on standard output."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    sys.stdout.write(clean_lines(text, limit=1_000_000) + "\n")


def open_streams() -> None:
    """Reopen closed streams as ones that keep nothing; characters that the locale lacks, as `±` in ASCII, become `?`.

    Output that standard error cannot take, as on a full disk, is lost, but the command goes on.
    """
    # Its descriptor too: what is opened next would get that number, as the lock of a run, and a child lose it.
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - stays open
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        lossy = io.BufferedWriter(_Lossy(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(lossy, sys.stderr.encoding, "replace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        buffer = _Output(io.FileIO(sys.stdout.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(buffer, sys.stdout.encoding, "replace", line_buffering=sys.stdout.line_buffering)


class _Lossy(io.FileIO):
    """A file that accepts everything: output that it has no room for is lost."""

    def write(self, content: "ReadableBuffer", /) -> int:
        try:
            return super().write(content) or 0
        except OSError:
            return memoryview(content).nbytes


class _Output(io.BufferedWriter):
    """Standard output, whose errors are known by its name wherever they are caught."""

    def write(self, content: "ReadableBuffer", /) -> int:
        with naming("standard output"):
            return super().write(content)

    def flush(self) -> None:
        with naming("standard output"):
            super().flush()


def discard_output() -> None:
    """Discard all that standard output holds and gets: Python would try again at exit to write what it could not."""
    with suppress(OSError):  # as no file more may be opened
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(error: FbmonError) -> int:
    """Print an error on stderr: what is wrong, and what to do. Return its exit code."""
    sys.stderr.write(f"fbmon: {clean_lines(error.message)}\n")
    if error.hint:
        sys.stderr.write(f"       {clean(error.hint, 400)}\n")
    return error.exit_code


def mention(line: str) -> None:
    """Write a line on stderr from a signal's handler; one that cannot be written is left out.

    Past the stream: it may be in the middle of a write, and what it cannot write it would try again at the end.
    """
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode())


def warn_of_logout(root: Path = Path("/")) -> None:
    """Print a line on stderr if a training that is started here would end at logout."""
    from fbmon.doctor.login import examine_login

    finding = examine_login(root)
    if finding.verdict != "ok":
        sys.stderr.write(f"warning: {finding.found}; to prevent it: {finding.advice}\n")


def warn_of_locks(folder: "RunFolder") -> None:
    """Print a line on stderr if locks do not protect the folder of a run that starts."""
    from fbmon.host.locks import refusal

    if reason := refusal(folder.lock):
        sys.stderr.write(
            f"warning: {clean_path(folder.path.parent)}: no lock can be held here ({reason}); the run is guarded "
            "by a note of its host and process, touched once a second\n"
        )
