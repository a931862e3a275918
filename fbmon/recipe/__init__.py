"""What a user asks: the recipe, its sections and choices; strict, and every fault told at once with its line."""

from fbmon.recipe.file import dump, find, flatten, load, shipped
from fbmon.recipe.schema import (
    NAME_PATTERN,
    Clip,
    Constant,
    Cosine,
    Data,
    Gradient,
    Model,
    Penalty,
    Recipe,
    Section,
    Sgd,
    Target,
    Validation,
)

__all__ = [
    "NAME_PATTERN",
    "Clip",
    "Constant",
    "Cosine",
    "Data",
    "Gradient",
    "Model",
    "Penalty",
    "Recipe",
    "Section",
    "Sgd",
    "Target",
    "Validation",
    "dump",
    "find",
    "flatten",
    "load",
    "shipped",
]
