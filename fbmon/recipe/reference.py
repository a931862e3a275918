"""The keys of a recipe in words: what each one means, what it may hold; taken from the schema and its source."""

import ast
import inspect
import sys
import types
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tomli_w
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from fbmon.recipe.schema import Recipe, sections_in
from fbmon.recipe.section import Section

_MANY = 60_000  # a largest whole number that is not worth a word


def commented(recipe: Recipe, origin: str) -> str:
    """Return a recipe as a TOML file with every key, its meaning above it; what is off stands in a comment."""
    table = recipe.model_dump()
    lines = [f"# {recipe.name}, after {origin}: every key with its meaning; what is off begins with a #."]
    lines += [line for name, field in Recipe.model_fields.items() if not sections_in(field.annotation)
              for line in _entry(name, field, table[name], Recipe)]  # fmt: skip
    for name, field in Recipe.model_fields.items():
        if choices := sections_in(field.annotation):
            lines += _section(name, choices, getattr(recipe, name))
    return "\n".join(lines) + "\n"


def _section(name: str, choices: list[type[Section]], chosen: Section | None) -> Iterator[str]:
    kind, off = (type(chosen), "") if chosen else (choices[0], "# ")
    yield ""
    yield f"# {' '.join((kind.__doc__ or '').split())}"
    yield f"{off}[{name}]"
    values = chosen.model_dump() if chosen else {}
    for key, field in kind.model_fields.items():
        yield from (line if line.startswith("#") else off + line for line in _entry(key, field, values.get(key), kind))


def _entry(key: str, field: FieldInfo, value: object, section: type[Section]) -> Iterator[str]:
    yield f"# {meanings(section)[key]} [{values(field)}]"
    yield f"# {key} =" if value is None else tomli_w.dumps({key: value}).strip()


def values(field: FieldInfo) -> str:
    """Return the values that a field may have, in words."""
    if field.examples:
        return ", ".join(map(str, field.examples))
    return _of_type(field.annotation, field.metadata)


@cache
def meanings(section: type[Section]) -> dict[str, str]:
    """Return the text below each field of a section's class in the source."""
    module = ast.parse(inspect.getsource(sys.modules[section.__module__]))
    body = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == section.__name__).body
    texts = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else ""
            texts[field.target.id] = " ".join(str(text).split()).removesuffix(".")
    return texts


def _of_type(annotation: Any, limits: list[Any]) -> str:  # noqa: ANN401 - a type, a union, a literal
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        first, *metadata = arguments
        return _of_type(first, [*limits, *(limit for info in metadata for limit in getattr(info, "metadata", [info]))])
    if origin in (Union, types.UnionType):
        return _of_type(next(kind for kind in arguments if kind is not type(None)), limits)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    named = {list: "a list of steps", dict: "a section of its own", bool: "true, false"}
    if origin in named or annotation in named:
        return named.get(origin) or named[annotation]
    if annotation is str:
        return "a word" if limits else "a text"
    return _numbers(limits, is_whole=annotation is int)


def _numbers(limits: list[Any], *, is_whole: bool) -> str:
    bounds: dict[type, Any] = {type(limit): getattr(limit, type(limit).__name__.lower()) for limit in limits}
    if is_whole:
        least = bounds.get(Ge, bounds.get(Gt, -1) + 1)
        most = bounds.get(Le, _MANY)
        return f"{least} to {most}" if most < _MANY else f"{least}, {least + 1}, ..."
    words = {Gt: "above", Ge: "from", Lt: "below", Le: "up to"}
    return ", ".join(f"{words[kind]} {bound:g}" for kind, bound in bounds.items())
