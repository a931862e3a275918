"""The optimizers that a recipe may choose."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fbmon.recipe.section import Fraction, NonNegativeFloat, PositiveFloat, Section, refuse_other_arguments

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
