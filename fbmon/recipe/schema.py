"""The sections and choices of a recipe, and what each may hold."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
# TOML promises 64 bits; torch and JSON take no more.
PositiveInt = Annotated[int, Field(gt=0, lt=2**63)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]


class Section(BaseModel):
    """A table of a recipe: nothing unknown, nothing converted, nothing infinite, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Data(Section):
    """The images; `limit` and `val_limit` take only the first ones, so that a laptop can try a large recipe."""

    dataset: Literal["digits", "cifar10"]
    augment: Literal["none", "shift", "crop_flip"] = "none"
    limit: PositiveInt | None = None
    val_limit: PositiveInt | None = None


class Model(Section):
    """The network; `width` is the number of channels of its first stage."""

    name: Literal[
        "resnet8", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "vgg16"
    ]  # fmt: skip
    width: PositiveInt = 64


class Gradient(Section):
    """How the data are cut into blocks, and what an update is made of; batch norm and penalty act within a block.

    `update` "full": one update a step, by the mean over all blocks. "block": an update after every block, as SGD does,
    and a step is a pass over all of them; from step `switch_at` on it is the other way round.
    `accumulation` "exact" has the same bits in any order, "fp32" is faster, "legacy" is the authors' until 2023.
    """

    block: PositiveInt
    order: Literal["fixed", "shuffled"] = "fixed"
    drop_last: bool = False  # true: leave out the last block if it is not full, as the authors do
    accumulation: Literal["exact", "fp32", "legacy"] = "exact"
    update: Literal["full", "block"] = "full"
    switch_at: PositiveInt | None = None


class Loss(Section):
    """What is minimized: cross-entropy, in training with this much of the label spread over the other classes."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Sgd(Section):
    """Gradient descent with momentum; `weight_decay` is added to the gradient after clipping."""

    name: Literal["sgd"] = "sgd"
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.0


class Constant(Section):
    """A linear warm-up, then the peak learning rate."""

    name: Literal["constant"]
    warmup: NonNegativeInt = 0


class Cosine(Section):
    """A linear warm-up, then half a cosine that reaches `floor` times the peak `horizon` steps later."""

    name: Literal["cosine"]
    warmup: NonNegativeInt = 0
    horizon: PositiveInt
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0


class MultiStep(Section):
    """A linear warm-up, then the peak, multiplied by `factor` at each of the `drops`, counted from its end."""

    name: Literal["multistep"]
    warmup: NonNegativeInt = 0
    drops: list[PositiveInt]
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1


class Exponential(Section):
    """A linear warm-up, then the peak, multiplied by `factor` at every step."""

    name: Literal["exponential"]
    warmup: NonNegativeInt = 0
    factor: Annotated[float, Field(gt=0, le=1)] = 0.99


AnySchedule = Constant | Cosine | MultiStep | Exponential
Schedule = Annotated[AnySchedule, Field(discriminator="name")]


class Clip(Section):
    """The full gradient is scaled down to this L2 norm whenever it is longer."""

    norm: PositiveFloat


class Penalty(Section):
    """The gradient-norm penalty of every block (paper, section 4); `epsilon` is the reach of finite differences."""

    method: Literal["forward", "central", "autograd"] = "forward"
    strength: PositiveFloat
    epsilon: PositiveFloat = 0.01


class Ema(Section):
    """Validate an average of the weights: each step average = momentum * average + (1 - momentum) * weights."""

    momentum: Annotated[float, Field(ge=0, lt=1)]


class Validation(Section):
    """Validate after steps 1, 1 + every, 1 + 2 every, ... and after the last."""

    every: PositiveInt = 100


class Target(Section):
    """The accuracy reported for this setting, and where it was reported."""

    val_accuracy: Annotated[float, Field(gt=0, le=1)]
    source: str


class Recipe(Section):
    """One training run, as asked for."""

    name: Name
    steps: PositiveInt
    seed: NonNegativeInt = 0
    data: Data
    model: Model
    gradient: Gradient
    loss: Loss = Loss()
    optimizer: Sgd
    schedule: Schedule
    clip: Clip | None = None
    penalty: Penalty | None = None
    ema: Ema | None = None
    validation: Validation = Validation()
    target: Target | None = None


def known_keys() -> list[str]:
    """Every `key` and `section.key` that a recipe may hold."""
    keys = list(Recipe.model_fields)
    for name, field in Recipe.model_fields.items():
        inner = [key for section in _sections(field.annotation) for key in section.model_fields]
        keys += dict.fromkeys(f"{name}.{key}" for key in inner)
    return keys


def _sections(annotation: Any) -> list[type[Section]]:  # noqa: ANN401 - a type, a union or None
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Section) else []
    return [section for inner in get_args(annotation) for section in _sections(inner)]
