"""The ways to compute a step that are compared."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from fbmon.recipe import Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.hardware.precision import Precision, lay_out_, set_precision_
from fbmon.train.mean.mean import Accumulation
from fbmon.train.models import make_model
from fbmon.train.step import Stepper


@dataclass(frozen=True)
class Variant:
    """One way to compute the same step."""

    name: str
    engine: str
    precision: Precision
    accumulation: Accumulation = "exact"
    is_contiguous: bool = False

    @property
    def is_compiled(self) -> bool:
        return self.engine.endswith(",compiled")


BEST = Variant("bfloat16, 4 lanes", "lanes:4", "bfloat16")
GOALS = (BEST, Variant("bfloat16, 4 lanes, compiled", "lanes:4,compiled", "bfloat16"))
# Each idea alone, the most telling first, as time may run out.
VARIANTS = (
    Variant("float32, block by block", "eager", "float32"),
    Variant("bfloat16, block by block", "eager", "bfloat16"),
    Variant("bfloat16, 1 lane", "lanes:1", "bfloat16"),
    Variant("bfloat16, 1 lane, compiled", "lanes:1,compiled", "bfloat16"),
    Variant("bfloat16, 8 lanes", "lanes:8", "bfloat16"),
    Variant("TF32, 4 lanes", "lanes:4", "tf32"),
    Variant("bfloat16, 4 lanes, contiguous", "lanes:4", "bfloat16", is_contiguous=True),
    Variant("bfloat16, 4 lanes, a plain sum", "lanes:4", "bfloat16", accumulation="fp32"),
    Variant("bfloat16, 2 lanes", "lanes:2", "bfloat16"),
    Variant("TF32, 4 lanes, compiled", "lanes:4,compiled", "tf32"),
    Variant("TF32, block by block", "eager", "tf32"),
    Variant("bfloat16, block by block, compiled", "eager,compiled", "bfloat16"),
)


def stepper_of(recipe: Recipe, precision: Precision, images: DataSet, *, is_contiguous: bool = False) -> Stepper:
    """The real loop of a recipe, ready for its first step."""
    recipe = recipe.model_copy(update={"precision": precision})
    torch.manual_seed(recipe.seed)
    model = make_model(recipe.model, images.form).to(images.device)
    set_precision_(model, precision)
    if is_contiguous:
        lay_out_(model, torch.contiguous_format)
    return Stepper(recipe, images, model, lambda _: None, lambda: None)


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Within it, this engine is made."""
    before = os.environ.get("FBMON_ENGINE")
    os.environ["FBMON_ENGINE"] = name
    try:
        yield
    finally:
        os.environ.pop("FBMON_ENGINE")
        if before is not None:
            os.environ["FBMON_ENGINE"] = before
