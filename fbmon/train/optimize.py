"""The optimizer of a recipe: torch's own."""

from typing import Any, assert_never

import torch
from torch import nn

from fbmon.recipe import AdamW, AnyOptimizer, Sgd


def make_optimizer(model: nn.Module, section: AnyOptimizer) -> torch.optim.Optimizer:
    """Make SGD or AdamW over all parameters; weight decay acts on those that `decayed` returns."""
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
        case _:
            assert_never(section)


def decayed(model: nn.Module, section: AnyOptimizer) -> list[nn.Parameter]:
    """Return the parameters under weight decay: all, as in the paper's code, or those of two and more dimensions."""
    parameters = list(model.parameters())
    return parameters if section.decay_on == "all" else [parameter for parameter in parameters if parameter.dim() > 1]
