"""The sections and choices of a recipe, and what each may hold."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from fbmon.recipe.data_sets import DATA_SETS, DataSetFacts, DataSetName
from fbmon.recipe.optimizers import LineSearch, Optimizer
from fbmon.recipe.schedule import Schedule
from fbmon.recipe.section import (
    CODE_FORMS,
    CodeSection,
    Fraction,
    ModestInt,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    refuse_other_arguments,
    refuse_other_choice,
)
from fbmon.recipe.sources import CodeReference, parse
from fbmon.text import clean

FOLDER = "folder:"  # begins the name of a data set that is a folder of pictures
DataSource = Literal["named", "npz", "folder", "code"]


class Data(CodeSection):
    """The data, as a recipe asks for them."""

    dataset: Annotated[str, Field(examples=[*get_args(DataSetName), "FILE.npz", "folder:DIR", *CODE_FORMS])]
    """The digits ship with fbmon; the others are downloaded when they are first needed. Your own: a file of arrays `x`
    and `y`, perhaps `x_val` and `y_val`; a folder with a folder of pictures for each class; or a function that returns
    such arrays. All are seen from the recipe's folder.
    """
    args: dict[str, Any] | None = None
    """The arguments with which a function of your own is called."""
    classes: ModestInt | None = None
    """The number of classes of data of your own; the highest label plus 1 if it is not given."""
    augment: Literal["none", "shift", "crop_flip"] = "none"
    """Move every image by up to 1 pixel, or by up to 4 and mirror half of them, as in the paper."""
    copies: ModestInt | None = None
    """Enlarge the data set: augment every image so many times, once and for all, instead of anew at each step."""
    copy_per_step: bool = False
    """Let a step see one of the copies, in turn, instead of all of them."""
    limit: PositiveInt | None = None
    """Take only the first so many training images, so that a laptop can try a large recipe."""
    val_limit: PositiveInt | None = None
    """Take only the first so many validation images."""
    val_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Take this share of your own samples, if none are set apart, for validation: the same ones in every run."""

    stream: bool | None = None
    """Leave the inputs on the disk, or in the memory of the host, and bring them to the device block by block; if it is
    not given, only those that do not fit.
    """

    def is_streamed(self, size: float, room: float) -> bool:
        """Say whether inputs of so many bytes are brought to a device block by block if it has room for so many."""
        return size > room if self.stream is None else self.stream

    @property
    def source(self) -> DataSource:
        """The source of the data: a name of fbmon's, a file, a folder, or code."""
        if self.dataset in DATA_SETS:
            return "named"
        if self.dataset.startswith(FOLDER):
            return "folder"
        return "npz" if self.dataset.endswith(".npz") else "code"

    @property
    def reference(self) -> CodeReference | None:
        """The function that the data set refers to; None if it is no code."""
        return parse(self.dataset) if self.source == "code" else None

    @field_validator("dataset")
    @classmethod
    def _is_a_data_set(cls, name: str) -> str:
        if name not in DATA_SETS and not name.startswith(FOLDER) and not name.endswith(".npz") and parse(name) is None:
            forms = ["FILE.npz", f"{FOLDER}DIR", *CODE_FORMS]
            refuse_other_choice("data.dataset", name, list(DATA_SETS), forms)
        return name

    @model_validator(mode="after")
    def _has_what_its_source_takes(self) -> Self:
        if self.source == "named":
            for key in ("val_share", "classes"):
                if getattr(self, key) is not None:
                    raise ValueError(f"data.{key} is for data of your own; {self.dataset} has its own")
        if self.args and self.reference is None:
            raise ValueError(f"data.args is for a function of your own; {clean(self.dataset, 60)} has none")
        refuse_other_arguments("data.args", self.args)
        return self

    @model_validator(mode="after")
    def _copies_differ(self) -> Self:
        if self.copies is not None and self.augment == "none":
            raise ValueError("data.copies needs data.augment, or all copies are the same")
        if self.copy_per_step and self.copies is None:
            raise ValueError("data.copy_per_step needs data.copies")
        return self


# fbmon's own networks.
NetworkName = Literal[
    "resnet8", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "vgg16", "mlp"
]  # fmt: skip
_FORMS = (*CODE_FORMS, "torchvision:NAME", "timm:NAME")
_WIDTH = 64


class Model(CodeSection):
    """The network, and the statistics with which its batch norm evaluates."""

    name: Annotated[str, Field(examples=[*get_args(NetworkName), *_FORMS])]
    """One of fbmon's own, or a class or function that makes one: FILE.py:NAME, the file beside the recipe or below it;
    PACKAGE.MODULE:NAME; torchvision:NAME; timm:NAME.
    """
    width: ModestInt | None = None
    """The number of channels of the first stage, of units of a layer for an mlp; 64 if it is not given. Only for
    fbmon's own networks.
    """
    args: dict[str, Any] | None = None
    """The arguments with which another's network is made."""
    running_statistics: Literal["momentum", "mean"] = "momentum"
    """A moving average over the blocks in order, so mostly of the last 50, as in the authors' code; or their mean."""

    @model_validator(mode="before")
    @classmethod
    def _own_has_width(cls, table: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
        is_own = isinstance(table, dict) and table.get("name") in get_args(NetworkName)
        return {"width": _WIDTH, **table} if is_own else table

    @field_validator("name")
    @classmethod
    def _is_a_network(cls, name: str) -> str:
        if name not in get_args(NetworkName) and parse(name) is None:
            refuse_other_choice("model.name", name, get_args(NetworkName), _FORMS)
        return name

    @model_validator(mode="after")
    def _has_what_its_kind_takes(self) -> Self:
        if self.reference and self.width is not None:
            raise ValueError(f"model.width = {self.width}: is for fbmon's own networks; use [model.args]")
        if self.args and not self.reference:
            raise ValueError(f"model.args is for the networks of others; {self.name} has model.width")
        refuse_other_arguments("model.args", self.args)
        return self

    @property
    def reference(self) -> CodeReference | None:
        """The class or function that the name refers to; None for one of fbmon's own networks."""
        return None if self.name in get_args(NetworkName) else parse(self.name)


class Gradient(Section):
    """The cut of the data into blocks, and how the gradients of the blocks become updates of the weights."""

    block: PositiveInt
    """The number of images that go through the network at once; batch norm and penalty act within a block."""
    order: Literal["fixed", "shuffled"] = "fixed"
    """The same blocks at every step, or blocks drawn anew."""
    drop_last: bool = False
    """Leave out the last block if it is not full, as the authors do."""
    accumulation: Literal["exact", "fp32", "legacy"] = "exact"
    """The same bits in any order and on any number of devices; a faster mean; the authors' mean until 2023."""
    update: Literal["full", "block"] = "full"
    """Update the weights once a step, or after every block, as SGD does."""
    switch_at: PositiveInt | None = None
    """The step from which on it is the other way round."""


LossName = Literal["cross_entropy", "mse"]


class Loss(CodeSection):
    """The function to minimize."""

    name: Annotated[str, Field(examples=[*get_args(LossName), *CODE_FORMS])] = "cross_entropy"
    """Cross-entropy of classes; the mean squared difference from numbers, or from 1 for the class and 0 for the others;
    or a function of your own of a block's outputs and targets that returns their mean.
    """
    label_smoothing: Fraction = 0.0
    """The share of a label that is spread over the other classes, in training only."""

    @property
    def reference(self) -> CodeReference | None:
        """The function that the name refers to; None for one of fbmon's own."""
        return None if self.name in get_args(LossName) else parse(self.name)

    @field_validator("name")
    @classmethod
    def _is_a_loss(cls, name: str) -> str:
        if name not in get_args(LossName) and parse(name) is None:
            refuse_other_choice("loss.name", name, get_args(LossName), CODE_FORMS)
        return name

    @model_validator(mode="after")
    def _smooths_classes(self) -> Self:
        if self.label_smoothing and self.name != "cross_entropy":
            raise ValueError(f"loss.label_smoothing is for cross_entropy; loss.name is {clean(self.name, 60)}")
        return self


class Clip(Section):
    """The clipping of gradients that are too long; at least one of the two."""

    norm: PositiveFloat | None = None
    """The full gradient is scaled down to this L2 norm if it is longer."""
    block_norm: PositiveFloat | None = None
    """Each block's gradient is scaled down to this L2 norm before they are averaged."""

    @model_validator(mode="after")
    def _clips(self) -> Self:
        if self.norm is None and self.block_norm is None:
            raise ValueError("clip.norm is missing")
        return self


class Penalty(Section):
    """The gradient-norm penalty (paper, section 4)."""

    name: Literal["gradient_norm"] = "gradient_norm"
    """The penalty on the gradient norm."""
    method: Literal["forward", "central", "autograd"] = "forward"
    """Finite differences on one side, as in the authors' code, or on both; or exactly, by a second backward pass."""
    strength: NonNegativeFloat
    """The strength of the penalty on the gradient norm of each block."""
    acc_strength: NonNegativeFloat = 0.0
    """The strength of the penalty on the norm of the full gradient; costs one more pass."""
    epsilon: PositiveFloat = 0.01
    """How far finite differences move the weights."""
    epsilon_norm: Literal["l2", "max"] = "l2"
    """The norm in which that is measured: of all entries, or the largest entry."""

    @model_validator(mode="after")
    def _penalizes(self) -> Self:
        if self.strength == 0 and self.acc_strength == 0:
            raise ValueError("penalty.strength and penalty.acc_strength are both 0")
        return self


class Sam(Section):
    """Sharpness-aware minimization (Foret et al. 2021): the gradient at weights moved uphill."""

    name: Literal["sam"]
    """The gradient at weights moved uphill, instead of a penalty added to it."""
    rho: PositiveFloat = 0.05
    """How far the weights are moved, in the L2 norm over all of them."""
    ascent: Literal["block", "full"] = "block"
    """Each block moves them along its own gradient, or all along the full gradient, which costs one more pass."""


AnyPenalty = Annotated[Penalty | Sam, Field(discriminator="name")]


class Ema(Section):
    """Validate an average of the weights: each step average = momentum * average + (1 - momentum) * weights."""

    momentum: Fraction
    """The momentum of the average."""


class Validation(Section):
    """The validation, after steps 1, 1 + every, 1 + 2 every, ... and after the last."""

    every: PositiveInt = 100
    """Steps between two validations; one follows step 1 and the last step too."""


class Checkpoint(Section):
    """The saving of the state; a slow save is made less often, so that all cost at most a hundredth of the time."""

    seconds: PositiveFloat = 60.0
    """Save after the first step that ends so many seconds after the last save."""
    every: PositiveInt | None = None
    """Save also after every so many steps."""
    keep: Annotated[int, Field(ge=2, lt=2**63)] = 2  # the last one may turn out to be damaged
    """How many of the last checkpoints are kept, beside that of the best validation."""


class Divergence(Section):
    """The watch for a run that diverges, which is always reported."""

    stop: bool = False
    """End a run that diverges, after its state has been saved."""
    factor: Annotated[float, Field(gt=1)] = 4.0  # SGD on CIFAR-10 is above 3 for some steps and comes back
    """A run diverges if its loss is above so many times that of the first step."""
    steps: PositiveInt = 20
    """For so many steps in a row."""


class Restart(Section):
    """The restarts after an accident; a run that is not finite or diverges is none, nor is a full disk."""

    at_most: NonNegativeInt = 0
    """How often all processes are started anew from the newest checkpoint if one has died or is stuck; `fbmon resume`
    counts from 0 again.
    """


class Analysis(Section):
    """The loss's shape while training: the gradient's direction and the distance from the start, at every step."""

    sharpness_every: PositiveInt | None = None
    """Steps between two measurements of the largest eigenvalues of the loss's Hessian."""
    eigenvalues: Annotated[int, Field(ge=1, le=5)] = 1
    """How many eigenvalues."""
    products: Annotated[int, Field(ge=2, le=1000)] = 40
    """Hessian-vector products at most, each of two backward passes."""
    blocks: PositiveInt | None = None
    """Measure over the first so many blocks of the step instead of all."""


class Target(Section):
    """The accuracy reported for this setting, and where it was reported."""

    val_accuracy: Annotated[float, Field(gt=0, le=1)]
    """The reported accuracy, drawn into the chart and compared with."""
    source: str
    """Where it was reported."""


class Recipe(Section):
    """One training run, as asked for."""

    name: Name
    """Names the recipe, and its runs."""
    steps: PositiveInt
    """Full-batch steps, or passes over the data. `--steps` stops early and leaves the schedule as it is."""
    seed: NonNegativeInt = 0
    """The seed of the first weights, of the augmentation and of the order of the blocks."""
    precision: Literal["float32", "tf32", "bfloat16", "float64"] = "float32"
    """How the network multiplies: as it says; on a GPU with factors rounded to 10 bits; with 8 bits where that is safe
    (autocast); all in float64. In the first three, sums and weights are float32.
    """
    data: Data
    model: Model
    gradient: Gradient
    loss: Loss = Loss()
    optimizer: Optimizer
    schedule: Schedule
    clip: Clip | None = None
    penalty: AnyPenalty | None = None
    ema: Ema | None = None
    validation: Validation = Validation()
    checkpoint: Checkpoint = Checkpoint()
    divergence: Divergence = Divergence()
    restart: Restart = Restart()
    analysis: Analysis | None = None
    target: Target | None = None

    @property
    def code(self) -> dict[str, CodeSection]:
        """The sections that name code of the user's own, by the key that names it."""
        sections = {"data.dataset": self.data, "model.name": self.model, "loss.name": self.loss}
        return {key: section for key, section in sections.items() if section.reference}

    @model_validator(mode="before")
    @classmethod
    def _names_the_penalty(cls, table: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
        penalty = table.get("penalty") if isinstance(table, dict) else None
        if not isinstance(penalty, dict) or "name" in penalty:
            return table
        return table | {"penalty": {"name": "gradient_norm", **penalty}}

    @model_validator(mode="after")
    def _searches_one_loss(self) -> Self:
        if not isinstance(self.optimizer, LineSearch):
            return self
        data, gradient, schedule = self.data, self.gradient, self.schedule
        others = {
            "data.augment (without data.copies)": data.augment != "none" and data.copies is None,
            "data.copy_per_step": data.copy_per_step,
            'gradient.update = "block"': gradient.update == "block",
            "gradient.switch_at": gradient.switch_at is not None,
            'gradient.order = "shuffled"': gradient.order == "shuffled",
            'gradient.accumulation = "legacy"': gradient.accumulation == "legacy",
            f"schedule.name = {schedule.name}": schedule.name != "constant",
            "schedule.warmup": schedule.warmup > 0,
            "clip": self.clip is not None,
            "penalty": self.penalty is not None,
        }
        asked = ", ".join(name for name, is_asked in others.items() if is_asked)
        if asked:
            raise ValueError(
                f"optimizer.name {self.optimizer.name} searches for its steps on one and the same loss, by its own "
                f"gradient, so goes without {asked}"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.data.source == "named":  # what data of the user's own are like is known when they have been found
            self.refuse_misfits(DATA_SETS[self.data.dataset])
        return self

    def refuse_misfits(self, facts: DataSetFacts) -> None:
        """Raise ValueError for a network, a loss or blocks that these data do not go with."""
        name, title, form = self.model.name, facts.title, facts.form
        if form.classes is None and self.loss.name == "cross_entropy":
            raise ValueError(f"loss.name cross_entropy needs classes; the targets of {title} are numbers, as for mse")
        if self.data.augment != "none" and form.kind != "images":
            raise ValueError(f"data.augment moves images; {title} has {form.kind}")
        if self.model.reference:
            return
        if form.kind == "tokens" or not (form.is_picture or name == "mlp") or len(form.output) != 1:
            raise ValueError(f"model.name {name} does not go from {form} to {form.output or 'a number'}, as in {title}")
        height, width = form.shape[-2:] if form.is_picture else (0, 0)
        if name == "vgg16" and min(height, width) < 32:
            raise ValueError(f"model.name vgg16 needs images of at least 32x32 pixels; {title} are {height}x{width}")
        if name == "densenet121" and self.model.width == 1:
            raise ValueError("model.width 1 leaves a densenet121 no channel to grow by; it needs at least 2")
        has_single_pixels = max(height, width) < 16 and name not in ("resnet8", "mlp")  # after three halvings
        if has_single_pixels and smallest_block(facts.train, self.data, self.gradient) == 1:
            raise ValueError(
                f"gradient.block {self.gradient.block} leaves a block of one image, whose last maps in a {name} are "
                f"single pixels on {title}: batch norm has no variance to compute; choose another size, or a "
                "drop_last that leaves it out"
            )


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
