"""A sweep: a recipe in every combination of the values asked for, as a list of runs."""

import itertools
import math
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from fbmon import recipe as recipes
from fbmon.errors import UsageError
from fbmon.recipe import Recipe
from fbmon.reproduce import TableRun
from fbmon.text import NAME_PATTERN, clean

_MOST = 1000  # runs
_OPENING, _CLOSING = "[{", "]}"


def tasks(
    file: Path, overrides: Sequence[str], seeds: Sequence[int], say: Callable[[str], None] = lambda _: None
) -> list[TableRun]:
    """Return the runs of a sweep, seed by seed, so that every combination has a first result early.

    An override may have several values, as `values_of` reads them. The recipe of a combination is named after them, as
    mine-lr0.1. Without seeds each has its recipe's own. Raises UsageError.
    """
    choices = [[f"{key}={value}" for value in values] for key, values in map(values_of, overrides)]
    count = math.prod(map(len, choices)) * (len(seeds) if seeds else 1)
    if count > _MOST:
        raise UsageError(f"the sweep has {count:,} runs, but at most {_MOST:,} can be asked for")
    varied = [number for number, values in enumerate(choices) if len(values) > 1]
    settings: dict[str, tuple[str, ...]] = {}
    distinct: list[Recipe] = []
    for combination in itertools.product(*choices):
        recipe = recipes.load(file, combination, say)
        if recipe not in distinct:  # as 0.1 and 1e-1 are the same
            distinct.append(recipe)
            settings[_name(recipe.name, [combination[number] for number in varied], settings)] = combination
    chosen = [[f"seed={seed}"] for seed in seeds] or [[]]
    loaded = [
        recipes.load(file, (*combination, f'name = "{name}"', *seed))
        for seed in chosen
        for name, combination in settings.items()
    ]
    return [TableRun(recipe, file) for recipe in loaded]


def values_of(override: str) -> tuple[str, list[str]]:
    """Return the key and the values of `section.key=a,b,c`; commas within brackets, braces or quotes part nothing.

    Raises UsageError for an empty value.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise UsageError(
            f"--set {clean(override)}: must read section.key=value", "for example --set optimizer.lr=0.1,0.4"
        )
    values, depth, quote, is_escaped = [""], 0, "", False
    for character in text:
        if quote:
            quote = "" if character == quote and not is_escaped else quote
            is_escaped = character == "\\" and quote == '"' and not is_escaped
        elif character in "\"'":
            quote = character
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and not quote and depth == 0:
            values.append("")
        else:
            values[-1] += character
    values = list(dict.fromkeys(value.strip() for value in values))
    if "" in values and len(values) > 1:
        raise UsageError(f"--set {clean(override)}: a value is missing between two commas")
    return key.strip(), values


def _name(base: str, varied: Sequence[str], taken: Collection[str]) -> str:
    """Return the name of a combination, such as mine-lr0.1; with a number where that is no name or is taken."""
    name = "-".join([base, *map(_label, varied)])
    if not re.fullmatch(NAME_PATTERN, name) or name in taken:
        name = f"{base[:56]}-{len(taken) + 1}"
    return name


def _label(override: str) -> str:
    """Return what a value is called in a name: lr0.1; where it is a name, that alone."""
    key, _, value = override.partition("=")
    last = key.rpartition(".")[2]
    written = re.sub(r"[^a-z0-9._-]+", "_", value.lower()).strip("_")
    return written if last == "name" else f"{last.lower()}{written}"
