"""Words that the shell offers at the Tab key: recipes, runs, tables, parts of queries (`fbmon --install-completion`).

Whatever goes wrong here offers nothing: a shell in the middle of a line is no place for an error.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

Offer = Callable[[typer.Context, str], list[str]]


def _silent(offer: Callable[[typer.Context], Iterable[str]]) -> Offer:
    """Return those that begin as what was typed; nothing if there is an error."""

    # Typer reads this signature to know what to hand over, so it is not that of `offer`.
    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            field = _field_before(ctx)
            return [word.removeprefix(field) for word in offer(ctx) if word.startswith(field + incomplete)]
        except Exception:
            return []

    return offered


@_silent
def recipe_names(_ctx: typer.Context) -> Iterable[str]:
    """Return the shipped recipes; files are the shell's own business."""
    from fbmon import recipe as recipes

    return recipes.shipped()


@_silent
def run_names(ctx: typer.Context) -> Iterable[str]:
    """Return the names of the runs in the runs folder, newest first."""
    return _names(ctx)


@_silent
def query_words(ctx: typer.Context) -> Iterable[str]:
    """Return the names of runs, and the beginnings of conditions."""
    from fbmon.compare.facts import FACTS, STATES

    states = [f"state:{state}" for state in STATES]
    return [*_names(ctx), *states, *(f"{name}:" for name in FACTS if name != "state")]


@_silent
def column_names(_ctx: typer.Context) -> Iterable[str]:
    """Return the fields that can be a column."""
    from fbmon import metrics
    from fbmon.compare.facts import FACTS

    return [*FACTS, *metrics.BY_NAME, *(f"best.{name}" for name in metrics.BY_NAME)]


@_silent
def table_names(_ctx: typer.Context) -> Iterable[str]:
    """Return the paper's tables."""
    from fbmon.reproduce import tables

    return tables()


def _field_before(ctx: typer.Context) -> str:
    """Return the `state:` of an incomplete `state:f`: bash splits words at colons and replaces only the last part."""
    match ctx.params.get("runs"):
        case [*_, field, ":"]:
            return f"{field}:"
    return ""


def _names(ctx: typer.Context) -> list[str]:
    from fbmon import run as folders

    runs_dir = Path(ctx.params.get("runs_dir") or folders.usual())
    return [folder.name for folder in folders.every(runs_dir) if folder.name.isprintable()]
