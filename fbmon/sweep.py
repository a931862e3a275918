"""A sweep: a recipe in every combination of the values asked for, as a list of runs."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import tomli_w

from fbmon import recipe as recipes
from fbmon.errors import UsageError
from fbmon.reproduce import TableRun
from fbmon.text import clean

_MOST = 1000  # runs
_OPENING, _CLOSING = "[{", "]}"


def tasks(
    file: Path, overrides: Sequence[str], seeds: Iterable[int], say: Callable[[str], None] = lambda _: None
) -> list[TableRun]:
    """Return the runs of a sweep, seed by seed, so that every combination has a first result early.

    An override may have several values, as `values_of` reads them. The recipe of a combination is named after them, as
    mine-lr0.1. Raises UsageError.
    """
    choices = [[f"{key}={value}" for value in values] for key, values in map(values_of, overrides)]
    chosen = list(itertools.product(*choices))
    every = [(combination, seed) for seed in seeds for combination in chosen]
    if len(every) > _MOST:
        raise UsageError(f"the sweep has {len(every):,} runs, but at most {_MOST:,} can be asked for")
    varied = [len(values) > 1 for values in choices]
    name = recipes.load(file, chosen[0]).name
    runs = []
    for combination, seed in every:
        labels = [_label(override) for override, is_varied in zip(combination, varied, strict=True) if is_varied]
        own = tomli_w.dumps({"name": "-".join([name, *labels])}).strip()
        recipe = recipes.load(file, (*combination, own, f"seed={seed}"), say if seed == every[0][1] else lambda _: None)
        runs.append(TableRun(recipe, file))
    return runs


def values_of(override: str) -> tuple[str, list[str]]:
    """Return the key and the values of `section.key=a,b,c`; commas within brackets, braces or quotes part nothing.

    Raises UsageError for an empty value.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise UsageError(
            f"--set {clean(override)}: must read section.key=value", "for example --set optimizer.lr=0.1,0.4"
        )
    values, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
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


def _label(override: str) -> str:
    """Return what a value is called in the name of a run: lr0.1; where it is a name, that alone."""
    key, _, value = override.partition("=")
    last = key.rpartition(".")[2]
    told = re.sub(r"[^\w.+-]+", "_", value, flags=re.ASCII).strip("_")
    return told if last == "name" else f"{last}{told}"
