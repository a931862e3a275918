"""Writes docs/recipes.md: every key of a recipe with its values, default and meaning, from the schema.

python -m tools.recipe_keys
"""

import ast
import inspect
import types
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from fbmon.recipe import Recipe, schema
from fbmon.recipe.schema import Section, sections_in

_MANY = 60_000  # a largest whole number that is not worth a word
DOCUMENT = Path(__file__).parent.parent / "docs" / "recipes.md"

_INTRODUCTION = """\
# What a recipe may hold

<!-- Written by `python -m tools.recipe_keys` from fbmon/recipe/schema.py; a test fails when it is stale. -->

A recipe is one TOML file, checked strictly: every fault is told at once, with its line and the nearest right key.
What each setting computes is in [method.md](method.md).

```toml
name = "mine"
extends = "fb_clipped.toml"   # takes over everything but name and target; the path is seen from this file's folder
seed = 1

[optimizer]
lr = 0.8
```

A section with another `name`, say another schedule, replaces the inherited one as a whole.
`fbmon recipe show mine.toml` prints what it comes to, `fbmon recipe check mine.toml` what is wrong with it;
`--set optimizer.lr=0.8` changes one setting of a run and is checked the same way.

A key without a default must be given; a dash means that the setting is off unless it is given.
"""


def document() -> str:
    """Return the text of docs/recipes.md."""
    return "\n".join([_INTRODUCTION, *_table(Recipe, ""), *_sections()])


def _sections() -> Iterator[str]:
    for name, field in Recipe.model_fields.items():
        sections = sections_in(field.annotation)
        if not sections:
            continue
        optional = "" if field.is_required() else " It may be left out."
        for section in sections:
            choice = f', name = "{_choice(section)}"' if len(sections) > 1 else ""
            yield f"## `[{name}]`{choice}"
            yield ""
            yield f"{_on_one_line(section.__doc__)}{optional}"
            yield ""
            yield from _table(section, f"{name}.")


def _choice(section: type[Section]) -> str:
    return str(get_args(section.model_fields["name"].annotation)[0])


def _on_one_line(text: object) -> str:
    return " ".join(str(text).split())


def _table(section: type[Section], prefix: str) -> Iterator[str]:
    yield "| key | value | default | what it does |"
    yield "|---|---|---|---|"
    for name, field in section.model_fields.items():
        if not sections_in(field.annotation):
            yield f"| `{prefix}{name}` | {values(field)} | {_default(field)} | {_meanings(section)[name]} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    return "–" if field.default is None else f"`{str(field.default).lower()}`"


def values(field: FieldInfo) -> str:
    """Return the values that a field may have, in words."""
    if field.examples:
        return ", ".join(f"`{choice}`" for choice in field.examples)
    return _of_type(field.annotation, field.metadata)


def _of_type(annotation: Any, limits: list[Any]) -> str:  # noqa: ANN401 - a type, a union, a literal
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        first, *metadata = arguments
        return _of_type(first, [*limits, *(limit for info in metadata for limit in getattr(info, "metadata", [info]))])
    if origin in (Union, types.UnionType):
        return _of_type(next(kind for kind in arguments if kind is not type(None)), limits)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is list:
        return "a list of steps"
    if origin is dict:
        return "a section of its own"
    if annotation is bool:
        return "`true`, `false`"
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


@cache
def _meanings(section: type[Section]) -> dict[str, str]:
    """Return the text below each field of a section's class in the source."""
    module = ast.parse(inspect.getsource(schema))
    body = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == section.__name__).body
    meanings = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else ""
            meanings[field.target.id] = _on_one_line(text).removesuffix(".")
    return meanings


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
