"""Writes docs/recipes.md: every key of a recipe with its values, default and meaning, from the schema.

python -m tools.recipe_keys
"""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo

from fbmon.recipe import Recipe
from fbmon.recipe.reference import meanings, values
from fbmon.recipe.schema import sections_in
from fbmon.recipe.section import Section

DOCUMENT = Path(__file__).parent.parent / "docs" / "recipes.md"

_INTRODUCTION = """\
# What a recipe may hold

<!-- Written by `python -m tools.recipe_keys` from the sections in fbmon/recipe; a test fails when it is stale. -->

A recipe is one TOML file, checked strictly: every fault is told at once, with its line and the nearest right key.
What each setting computes is in [method.md](method.md).

```toml
name = "mine"
extends = "fb_clipped"   # a shipped recipe, or a path seen from this folder; all but name and target is taken over
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
            yield f"| `{prefix}{name}` | {_values(field)} | {_default(field)} | {meanings(section)[name]} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    return "–" if field.default is None else f"`{str(field.default).lower()}`"


def _values(field: FieldInfo) -> str:
    """Return the values that a field may have, each choice as code."""
    words = values(field)
    is_choice = field.examples or "Literal" in str(field.annotation) or field.annotation is bool
    return ", ".join(f"`{choice}`" for choice in words.split(", ")) if is_choice else words


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
