"""The sections and choices of a recipe, and what each may hold."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fbmon.recipe.data_sets import DATA_SETS, DataSetName
from fbmon.text import NAME_PATTERN

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


class Data(Section):
    """The images; `limit` and `val_limit` take only the first ones, so that a laptop can try a large recipe.

    Without `copies`, images are augmented anew at each step. With it the data set is fixed and that many times as
    large: every image augmented `copies` times, once and for all; a step sees all copies, or one of them, in turn.
    """

    dataset: DataSetName
    augment: Literal["none", "shift", "crop_flip"] = "none"
    copies: ModestInt | None = None
    copy_per_step: bool = False
    limit: PositiveInt | None = None
    val_limit: PositiveInt | None = None

    @model_validator(mode="after")
    def _copies_differ(self) -> Self:
        if self.copies is not None and self.augment == "none":
            raise ValueError("data.copies needs data.augment, or all copies are the same")
        if self.copy_per_step and self.copies is None:
            raise ValueError("data.copy_per_step needs data.copies")
        return self


class Model(Section):
    """The network; `width` is the number of channels of its first stage, of an mlp the number of units of a layer.

    `running_statistics`, which batch norm evaluates with: "momentum" is their moving average over the blocks in order,
    as in the authors' code, so mostly that of the last 50; "mean" is the mean over all blocks of the step.
    """

    name: Literal[
        "resnet8", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "vgg16", "mlp"
    ]  # fmt: skip
    width: ModestInt = 64
    running_statistics: Literal["momentum", "mean"] = "momentum"


class Gradient(Section):
    """The cut of the data into blocks, and what an update is made of; batch norm and penalty act within a block.

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
    """The function to minimize: cross-entropy, in training with so much of the label spread over other classes."""

    label_smoothing: Fraction = 0.0


# Which parameters weight decay acts on: all, or only weights proper, not batch norm's and not biases.
DecayOn = Literal["all", "weights"]


class Sgd(Section):
    """Gradient descent with momentum; `weight_decay` is added to the gradient after clipping."""

    name: Literal["sgd"]
    lr: PositiveFloat
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.0
    decay_on: DecayOn = "all"

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("optimizer.nesterov needs optimizer.momentum")
        return self


class AdamW(Section):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    lr: PositiveFloat
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.01
    decay_on: DecayOn = "all"


AnyOptimizer = Sgd | AdamW
Optimizer = Annotated[AnyOptimizer, Field(discriminator="name")]


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
    """The full gradient is scaled down to the L2 norm `norm` whenever it is longer, each block's to `block_norm`."""

    norm: PositiveFloat | None = None
    block_norm: PositiveFloat | None = None

    @model_validator(mode="after")
    def _clips(self) -> Self:
        if self.norm is None and self.block_norm is None:
            raise ValueError("clip.norm is missing")
        return self


class Penalty(Section):
    """The gradient-norm penalty (paper, section 4) of strength `strength` on every block's gradient.

    `acc_strength` is that on the full gradient, accumulated over all blocks; it costs one more pass. `epsilon` is the
    reach of finite differences: how far the weights move, in the norm `epsilon_norm`: all entries' L2 norm, or the
    largest entry.
    """

    method: Literal["forward", "central", "autograd"] = "forward"
    strength: NonNegativeFloat
    acc_strength: NonNegativeFloat = 0.0
    epsilon: PositiveFloat = 0.01
    epsilon_norm: Literal["l2", "max"] = "l2"

    @model_validator(mode="after")
    def _penalizes(self) -> Self:
        if self.strength == 0 and self.acc_strength == 0:
            raise ValueError("penalty.strength and penalty.acc_strength are both 0")
        return self


class Ema(Section):
    """Validate an average of the weights: each step average = momentum * average + (1 - momentum) * weights."""

    momentum: Fraction


class Validation(Section):
    """Validate after steps 1, 1 + every, 1 + 2 every, ... and after the last."""

    every: PositiveInt = 100


class Checkpoint(Section):
    """Save the state after the first step that ends `seconds` after the last save, and after every so many steps.

    A save that is slow is made less often, so that all together cost at most a hundredth of the time. Kept are the
    last `keep` and that of the best validation.
    """

    seconds: PositiveFloat = 60.0
    every: PositiveInt | None = None
    keep: Annotated[int, Field(ge=2, lt=2**63)] = 2  # the last one may turn out to be damaged


class Divergence(Section):
    """A run diverges when its loss is above `factor` times that of its first step, `steps` steps in a row.

    That is told, and with `stop` it ends the run, after the state has been saved.
    """

    stop: bool = False
    factor: Annotated[float, Field(gt=1)] = 4.0  # SGD on CIFAR-10 is above 3 for some steps and comes back
    steps: PositiveInt = 20


class Restart(Section):
    """The number of new starts of all processes, from the newest checkpoint, after one has died or is stuck.

    Counted anew by `fbmon resume`. A run that is not finite or diverges is no such accident, nor is a full disk.
    """

    at_most: NonNegativeInt = 0


class Analysis(Section):
    """Look at the loss's shape while training: the gradient's direction and the distance from the start at every step.

    Before steps 1, 1 + `sharpness_every`, ... also the largest `eigenvalues` of the Hessian of the loss over the first
    `blocks` blocks of the step, or all, by at most `products` Hessian-vector products.
    """

    sharpness_every: PositiveInt | None = None
    eigenvalues: Annotated[int, Field(ge=1, le=5)] = 1
    products: Annotated[int, Field(ge=2, le=1000)] = 40
    blocks: PositiveInt | None = None


class Target(Section):
    """The accuracy reported for this setting, and where it was reported."""

    val_accuracy: Annotated[float, Field(gt=0, le=1)]
    source: str


class Recipe(Section):
    """One training run, as asked for.

    `precision` "float32" multiplies as it says; "tf32" lets a GPU round factors to 10 bits; "bfloat16" goes through the
    network in 8 bits where that is safe (autocast). Weights are float32 in all three.
    """

    name: Name
    steps: PositiveInt
    seed: NonNegativeInt = 0
    precision: Literal["float32", "tf32", "bfloat16", "float64"] = "float32"
    data: Data
    model: Model
    gradient: Gradient
    loss: Loss = Loss()
    optimizer: Optimizer
    schedule: Schedule
    clip: Clip | None = None
    penalty: Penalty | None = None
    ema: Ema | None = None
    validation: Validation = Validation()
    checkpoint: Checkpoint = Checkpoint()
    divergence: Divergence = Divergence()
    restart: Restart = Restart()
    analysis: Analysis | None = None
    target: Target | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        name, images = self.model.name, DATA_SETS[self.data.dataset]
        title, side = images.title, images.side
        if name == "vgg16" and side < 32:
            raise ValueError(f"model.name vgg16 needs images of at least 32x32 pixels; {title} are {side}x{side}")
        if name == "densenet121" and self.model.width < 2:
            raise ValueError("model.width 1 leaves a densenet121 no channel to grow by; it needs 2 at least")
        has_single_pixels = side < 16 and name not in ("resnet8", "mlp")  # the last maps of three halvings
        if has_single_pixels and smallest_block(images.train, self.data, self.gradient) == 1:
            raise ValueError(
                f"gradient.block {self.gradient.block} leaves a block of one image, whose last maps in a {name} are "
                f"single pixels on {title}: batch norm has nothing to take a variance of; take another size, or a "
                "drop_last that leaves it out"
            )
        return self


def smallest_block(images: int, data: Data, gradient: Gradient) -> int:
    """Return how many images of a data set of so many the smallest block of a step holds."""
    count = min(images, data.limit or images)
    if data.copies and not data.copy_per_step:
        count *= data.copies
    last = count % gradient.block
    is_left_out = gradient.drop_last and count > gradient.block
    return min(count, gradient.block) if last == 0 or is_left_out else last


def known_keys() -> list[str]:
    """Every `key` and `section.key` that a recipe may hold."""
    keys = list(Recipe.model_fields)
    for name, field in Recipe.model_fields.items():
        inner = [key for section in sections_in(field.annotation) for key in section.model_fields]
        keys += dict.fromkeys(f"{name}.{key}" for key in inner)
    return keys


def sections_in(annotation: Any) -> list[type[Section]]:  # noqa: ANN401 - a type, a union or None
    """The sections that a field of a recipe may be."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Section) else []
    return [section for inner in get_args(annotation) for section in sections_in(inner)]
