"""The wish of a user: the recipe, its sections and choices; strict, and every fault told at once with its line."""

from fbmon.recipe.data_sets import DATA_SETS
from fbmon.recipe.file import dump, find, flatten, load, shipped, whole
from fbmon.recipe.optimizers import (
    AdamW,
    AnyOptimizer,
    GradientDescent,
    Lbfgs,
    LineSearch,
    Muon,
    PackageOptimizer,
    Sgd,
    TorchOptimizer,
)
from fbmon.recipe.schedule import AnySchedule, Constant, Cosine, Exponential, MultiStep
from fbmon.recipe.schema import (
    Analysis,
    Checkpoint,
    Clip,
    Data,
    Divergence,
    Ema,
    Gradient,
    Model,
    Penalty,
    Recipe,
    Sam,
)

__all__ = [
    "DATA_SETS",
    "AdamW",
    "Analysis",
    "AnyOptimizer",
    "AnySchedule",
    "Checkpoint",
    "Clip",
    "Constant",
    "Cosine",
    "Data",
    "Divergence",
    "Ema",
    "Exponential",
    "Gradient",
    "GradientDescent",
    "Lbfgs",
    "LineSearch",
    "Model",
    "MultiStep",
    "Muon",
    "PackageOptimizer",
    "Penalty",
    "Recipe",
    "Sam",
    "Sgd",
    "TorchOptimizer",
    "dump",
    "find",
    "flatten",
    "load",
    "shipped",
    "whole",
]
