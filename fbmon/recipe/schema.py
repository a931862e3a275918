"""The sections and choices of a recipe, and what each may hold."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from fbmon.recipe.data_sets import DATA_SETS, DataSetFacts, DataSetName
from fbmon.recipe.sources import CodeReference, parse
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


def _refuse_other_choice(key: str, value: str, names: Sequence[str], forms: Sequence[str]) -> NoReturn:
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


_CODE = ("FILE.py:NAME", "PACKAGE.MODULE:NAME")
FOLDER = "folder:"  # begins the name of a data set that is a folder of pictures
DataSource = Literal["named", "npz", "folder", "code"]


class Data(CodeSection):
    """The data, as a recipe asks for them."""

    dataset: Annotated[str, Field(examples=[*get_args(DataSetName), "FILE.npz", "folder:DIR", *_CODE])]
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
            forms = ["FILE.npz", f"{FOLDER}DIR", *_CODE]
            _refuse_other_choice("data.dataset", name, list(DATA_SETS), forms)
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
_FORMS = (*_CODE, "torchvision:NAME", "timm:NAME")
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
            _refuse_other_choice("model.name", name, get_args(NetworkName), _FORMS)
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

    name: Annotated[str, Field(examples=[*get_args(LossName), *_CODE])] = "cross_entropy"
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
            _refuse_other_choice("loss.name", name, get_args(LossName), _CODE)
        return name

    @model_validator(mode="after")
    def _smooths_classes(self) -> Self:
        if self.label_smoothing and self.name != "cross_entropy":
            raise ValueError(f"loss.label_smoothing is for cross_entropy; loss.name is {clean(self.name, 60)}")
        return self


DecayOn = Literal["all", "weights"]


class Sgd(Section):
    """Gradient descent with momentum."""

    name: Literal["sgd"]
    """Gradient descent."""
    lr: PositiveFloat
    """The peak learning rate."""
    momentum: Fraction = 0.0
    """The momentum."""
    nesterov: bool = False
    """Look ahead along the momentum; needs a momentum above 0."""
    weight_decay: NonNegativeFloat = 0.0
    """Times the weights, added to the gradient after clipping."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("optimizer.nesterov needs optimizer.momentum")
        return self


class AdamW(Section):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    """Adam with decoupled weight decay."""
    lr: PositiveFloat
    """The peak learning rate."""
    beta1: Fraction = 0.9
    """The momentum of the gradient."""
    beta2: Fraction = 0.999
    """The momentum of its square."""
    epsilon: PositiveFloat = 1e-8
    """Added to the denominator."""
    weight_decay: NonNegativeFloat = 0.01
    """Times the weights and the learning rate, subtracted from the weights."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""


class TorchOptimizer(Section):
    """Another of torch's own optimizers."""

    name: Literal[
        "torch.optim:Adadelta", "torch.optim:Adafactor", "torch.optim:Adagrad", "torch.optim:Adam",
        "torch.optim:Adamax", "torch.optim:ASGD", "torch.optim:NAdam", "torch.optim:RAdam", "torch.optim:RMSprop",
        "torch.optim:Rprop",
    ]  # fmt: skip
    """The class."""
    lr: PositiveFloat
    """The peak learning rate."""
    weight_decay: NonNegativeFloat = 0.0
    """What torch makes of it, which differs from class to class."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""
    args: dict[str, Any] | None = None
    """Further arguments of the class, for instance `alpha = 0.9`; checked as the training starts."""

    @model_validator(mode="after")
    def _has_plain_arguments(self) -> Self:
        refuse_other_arguments("optimizer.args", self.args)
        return self


class Muon(Section):
    """Torch's Muon for the matrices of hidden layers, AdamW for all else, as its authors advise."""

    name: Literal["muon"]
    """Muon for the matrices of hidden layers, AdamW for all else."""
    lr: PositiveFloat
    """The peak learning rate of the matrices; a taller one's is multiplied with the root of height over width."""
    momentum: Fraction = 0.95
    """The momentum of the matrices."""
    nesterov: bool = True
    """Look ahead along the momentum."""
    ns_steps: Annotated[int, Field(ge=1, lt=100)] = 5
    """Steps of the Newton-Schulz iteration that makes a matrix nearly orthogonal."""
    adamw_lr: PositiveFloat = 3e-4
    """The peak learning rate of all else, which follows the same schedule."""
    beta1: Fraction = 0.9
    """The momentum of AdamW's gradient."""
    beta2: Fraction = 0.95
    """The momentum of its square."""
    epsilon: PositiveFloat = 1e-10
    """Added to AdamW's denominator."""
    weight_decay: NonNegativeFloat = 0.0
    """Times the weights and the learning rate, subtracted from the weights."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""


class PackageOptimizer(Section):
    """An optimizer of the package pytorch-optimizer: `pip install 'fbmon[optimizers]'`."""

    name: Literal["pytorch_optimizer:SOAP", "pytorch_optimizer:Shampoo"]
    """The class."""
    lr: PositiveFloat
    """The peak learning rate."""
    weight_decay: NonNegativeFloat = 0.0
    """What the class makes of it: SOAP subtracts it from the weights, Shampoo adds it to the gradient."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""
    args: dict[str, Any] | None = None
    """Further arguments of the class, for instance `precondition_frequency = 5`; checked as the training starts."""

    @model_validator(mode="after")
    def _has_plain_arguments(self) -> Self:
        refuse_other_arguments("optimizer.args", self.args)
        return self


class GradientDescent(Section):
    """Gradient descent whose learning rate is found anew at each step, by backtracking (Armijo)."""

    name: Literal["gd"]
    """Gradient descent with backtracking."""
    lr: PositiveFloat = 1.0
    """The learning rate that the first step tries first."""
    shrink: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """What a learning rate is multiplied with as long as the loss does not fall enough."""
    grow: Annotated[float, Field(ge=1)] = 1.25
    """What the accepted one is multiplied with for the first trial of the next step."""
    decrease: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    """The loss falls enough if it falls by this share of what the slope promises."""
    trials: Annotated[int, Field(ge=2, le=1000)] = 20
    """Trials of a step at most, each a pass over the data; if all fail, the weights stay as they are."""
    weight_decay: NonNegativeFloat = 0.0
    """Times half the weights' squared norm, part of the loss."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""


class Lbfgs(Section):
    """Torch's L-BFGS with its line search for the strong Wolfe conditions, which tries the whole step first."""

    name: Literal["lbfgs"]
    """L-BFGS."""
    history: Annotated[int, Field(ge=1, le=1000)] = 10
    """Pairs of steps and gradient differences that are remembered, each twice the size of the weights."""
    trials: Annotated[int, Field(ge=2, le=1000)] = 20
    """Trials of a step at most, each a pass over the data; then the best so far is taken."""
    weight_decay: NonNegativeFloat = 0.0
    """Times half the weights' squared norm, part of the loss."""
    decay_on: DecayOn = "all"
    """What it acts on: all parameters, or only weights proper, not biases and not batch norm's."""

    @property
    def lr(self) -> float:
        """The share of its direction that a step tries first; that of the first is cut by the gradient's 1-norm."""
        return 1.0


LineSearch = GradientDescent | Lbfgs
AnyOptimizer = Sgd | AdamW | TorchOptimizer | Muon | PackageOptimizer | GradientDescent | Lbfgs
Optimizer = Annotated[AnyOptimizer, Field(discriminator="name")]


class Constant(Section):
    """A linear warm-up, then the peak learning rate."""

    name: Literal["constant"]
    """The peak learning rate throughout."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""


# Pairs of steps and a factor.
Stretches = list[Annotated[list[NonNegativeFloat], Field(min_length=2, max_length=2)]]


class Cosine(Section):
    """A linear warm-up, then half a cosine."""

    name: Literal["cosine"]
    """Half a cosine."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""
    horizon: PositiveInt
    """Steps from the end of the warm-up to the end of the cosine."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The end of the cosine, as a share of the peak."""
    stretches: Stretches | None = None
    """Pairs of steps and a factor: after so many steps the schedule goes on as if it took so many times as long;
    `fbmon resume --stretch` adds them.
    """


class MultiStep(Section):
    """A linear warm-up, then the peak with drops at given steps."""

    name: Literal["multistep"]
    """Drops at given steps."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""
    drops: list[PositiveInt]
    """The steps of the drops, counted from the end of the warm-up."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What a drop multiplies the learning rate with."""
    stretches: Stretches | None = None
    """Pairs of steps and a factor: after so many steps the schedule goes on as if it took so many times as long;
    `fbmon resume --stretch` adds them.
    """


class Exponential(Section):
    """A linear warm-up, then a constant decay."""

    name: Literal["exponential"]
    """A constant decay."""
    warmup: NonNegativeInt = 0
    """Steps of linear warm-up; the first has learning rate 0."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.99
    """What every step multiplies the learning rate with."""
    stretches: Stretches | None = None
    """Pairs of steps and a factor: after so many steps the schedule goes on as if it took so many times as long;
    `fbmon resume --stretch` adds them.
    """


AnySchedule = Constant | Cosine | MultiStep | Exponential
Schedule = Annotated[AnySchedule, Field(discriminator="name")]


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
