"""Runs in the order of one of their fields: `val_accuracy`, `val_accuracy:max`, `optimizer.lr:desc`."""

from collections.abc import Sequence
from typing import TypeVar

from fbmon.compare import fields
from fbmon.compare.facts import Field, Value
from fbmon.compare.run import Run
from fbmon.errors import UsageError
from fbmon.text import clean

Item = TypeVar("Item")

_DIRECTIONS = {"asc": "ascending", "desc": "descending"}


def sort_by(runs: Sequence[Run], order: str) -> list[Run]:
    """Sort runs, best first; those whose value is unknown come last. Raises UsageError."""
    field, descending = parse_order(order, runs)
    return in_order(runs, [field.rank(run) for run in runs], descending)


def parse_order(order: str, runs: Sequence[Run]) -> tuple[Field, bool]:
    """Return the requested field, and whether its largest value comes first."""
    name, _, how = order.partition(":")
    if how in fields.AGGREGATES:
        field = fields.find(f"{how}.{name}", runs)
    elif not how or how in _DIRECTIONS:
        field = fields.find(name, runs)
    else:
        choices = ", ".join([*fields.AGGREGATES, *_DIRECTIONS])
        raise UsageError(f"--sort {clean(order)}: what follows the colon must be one of {choices}")
    return field, _DIRECTIONS.get(how, field.direction) == "descending"


def in_order(items: Sequence[Item], values: Sequence[Value], descending: bool) -> list[Item]:
    """Return items sorted by their values; those whose value is unknown come last."""
    pairs = list(zip(items, values, strict=True))
    with_value = [pair for pair in pairs if pair[1] is not None]
    with_value.sort(key=lambda pair: _key(pair[1]), reverse=descending)
    return [item for item, _ in with_value] + [item for item, value in pairs if value is None]


def _key(value: Value) -> tuple[bool, float, str]:
    """Return a sort key that puts numbers in their order before texts in theirs."""
    return (False, float(value), "") if isinstance(value, float | int) else (True, 0.0, str(value))
