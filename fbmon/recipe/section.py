"""The common ground of a recipe's sections: strictness, kinds of numbers, code of the user's own."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from fbmon.recipe.sources import CodeReference
from fbmon.text import NAME_PATTERN, clean

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
# TOML promises 64 bits; torch and JSON take no more.
PositiveInt = Annotated[int, Field(gt=0, lt=2**63)]
# What sizes are multiplied with: far beyond any memory, and products of it within what torch can count.
ModestInt = Annotated[int, Field(gt=0, le=65_536)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=2**63)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]


class Section(BaseModel):
    """A table of a recipe: nothing unknown, nothing converted, nothing infinite, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def refuse_other_arguments(key: str, arguments: dict[str, Any] | None) -> None:
    """Raise ValueError for an argument that is neither a plain value nor a list of them."""
    for name, value in (arguments or {}).items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, bool | int | float | str) for item in items):
            raise ValueError(f"{key}.{clean(name, 60)}: must be true, false, a number, a string, or a list of these")


def refuse_other_choice(key: str, value: str, names: Sequence[str], forms: Sequence[str]) -> NoReturn:
    """Raise ValueError for a value that is neither one of the names nor of one of the forms; say which is nearest."""
    near = difflib.get_close_matches(value, names, n=1)
    raise ValueError(
        f'{key} = "{clean(value, 60)}": must be one of {", ".join([*names, *forms])}'
        + "".join(f"; did you mean {name}?" for name in near)
    )


class CodeSection(Section):
    """A section that may name code of the user's own, in a file that is looked for in `folder`."""

    _folder: Path | None = PrivateAttr(default=None)  # set as the recipe is loaded

    @property
    def reference(self) -> CodeReference | None:
        """The class or function that the section names; None if it names something of fbmon's own."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """The folder in which a file that the section names is looked for; never a guess, as code is run from it."""
        if self._folder is None:
            raise AssertionError("a recipe with code of its own was not loaded from a file")
        return self._folder

    def locate_(self, folder: Path) -> None:
        """Set the folder in which a file is looked for."""
        self._folder = folder


CODE_FORMS = ("FILE.py:NAME", "PACKAGE.MODULE:NAME")
