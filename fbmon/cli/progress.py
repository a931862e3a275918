"""Progress bars on stderr, in a terminal only: no command is silent for longer than a moment."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counted(what: str, done: int, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar over `total` things of a kind; call what is yielded whenever one is done."""
    with _bar(what, done, total) as move:
        yield lambda: move(what)


@contextmanager
def staged(first: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar over `total` stages, the `first` of which has begun; call what is yielded with each next name."""
    with _bar(first, 0, total) as move:
        yield move


@contextmanager
def _bar(what: str, done: int, total: int) -> Iterator[Callable[[str], None]]:
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, completed=done)
        yield lambda what: progress.update(task, description=what, advance=1)
