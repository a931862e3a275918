"""The optimizer of a recipe."""

import difflib
import importlib
import inspect
from types import ModuleType
from typing import Any, assert_never

import torch
from torch import nn

from fbmon.errors import UsageError
from fbmon.recipe import AdamW, AnyOptimizer, GradientDescent, Lbfgs, Muon, PackageOptimizer, Sgd, TorchOptimizer
from fbmon.text import clean
from fbmon.train.line_search import make_searching
from fbmon.train.muon import MuonWithAdamW

# What is no setting of a recipe, or stands elsewhere in it.
_SET_HERE = {"params", "lr", "foreach", "maximize", "capturable", "differentiable", "fused"}


def make_optimizer(model: nn.Module, section: AnyOptimizer) -> torch.optim.Optimizer:
    """Make the optimizer over all parameters; weight decay acts on those that `decayed` returns."""
    acted_on = decayed(model, section)
    kept = {id(parameter) for parameter in acted_on}
    others = [parameter for parameter in model.parameters() if id(parameter) not in kept]
    groups: list[dict[str, Any]] = [
        {"params": acted_on},
        *([{"params": others, "weight_decay": 0.0}] if others else []),
    ]
    match section:
        case Sgd():
            return torch.optim.SGD(
                groups,
                lr=section.lr,
                momentum=section.momentum,
                nesterov=section.nesterov,
                weight_decay=section.weight_decay,
                foreach=True,
            )
        case AdamW():
            return torch.optim.AdamW(
                groups,
                lr=section.lr,
                betas=(section.beta1, section.beta2),
                eps=section.epsilon,
                weight_decay=section.weight_decay,
                foreach=True,
            )
        case TorchOptimizer() | PackageOptimizer():
            return _make_by_name(groups, section)
        case Muon():
            return MuonWithAdamW(model, section, acted_on)
        case GradientDescent() | Lbfgs():
            return make_searching(list(model.parameters()), section)
        case _:
            assert_never(section)


def _make_by_name(groups: list[dict[str, Any]], section: TorchOptimizer | PackageOptimizer) -> torch.optim.Optimizer:
    """Make an optimizer of torch or of a package. Raises UsageError for an argument that it does not have or take."""
    package, _, name = section.name.partition(":")
    kind: type[torch.optim.Optimizer] = getattr(_import(package, section.name), name)
    parameters = inspect.signature(kind).parameters
    takes = {key for key, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD} - _SET_HERE
    arguments = section.args or {}
    for key in [*arguments, *(["weight_decay"] if section.weight_decay else [])]:
        if key not in takes:
            near = difflib.get_close_matches(key, takes, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise UsageError(f"optimizer.args.{clean(key, 60)}: {package}.{name} has no such argument", hint)
    if "weight_decay" in takes:
        arguments = {"weight_decay": section.weight_decay, **arguments}
    else:
        groups = [{"params": [parameter for group in groups for parameter in group["params"]]}]
    if "foreach" in parameters:
        arguments = {"foreach": True, **arguments}
    try:
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
        made: Any = kind
        optimizer: torch.optim.Optimizer = made(groups, lr=section.lr, **given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"optimizer.args: {package}.{name} says: {clean(str(error), 200)}") from None
    return optimizer


def _import(package: str, name: str) -> ModuleType:
    """Import what holds an optimizer. Raises UsageError if it is not installed."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UsageError(
            f'optimizer.name = "{name}": the package pytorch-optimizer is not installed',
            "pip install 'fbmon[optimizers]'",
        ) from None


def decayed(model: nn.Module, section: AnyOptimizer) -> list[nn.Parameter]:
    """Return the parameters under weight decay: all, as in the paper's code, or those of two and more dimensions."""
    parameters = list(model.parameters())
    return parameters if section.decay_on == "all" else [parameter for parameter in parameters if parameter.dim() > 1]
