"""The command palette: what the keys do, by their words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from textual.app import App, SystemCommand
from textual.dom import DOMNode

from fbmon.ui.charts.keys import Key

# Textual's list of keys is beside our help, its screenshot wants a folder for downloads, its maximizing is `z`.
_STOCK = {"Theme", "Quit"}


def commands(
    stock: Iterable[SystemCommand], app: App[int], groups: Mapping[str, Sequence[Key]], board: DOMNode
) -> Iterator[SystemCommand]:
    """Return what Textual offers and no key does, then the keys, whose actions are the board's or its parents'."""
    yield from (command for command in stock if command.title in _STOCK)
    for key in (key for group in groups.values() for key in group):
        if key.shown and key.action != "app.command_palette":
            words = f"{key.help[0].upper()}{key.help[1:]}"
            yield SystemCommand(
                words, f"key: {key.shown}", partial(app.run_action, key.action, _owner(board, key.action))
            )


def _owner(board: DOMNode, action: str) -> DOMNode:
    """Return what has an action: the board, or the nearest widget around it."""
    name = f"action_{action.partition('(')[0]}"
    return next((node for node in board.ancestors_with_self if hasattr(node, name)), board)
