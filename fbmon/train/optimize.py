"""The optimizer of a recipe: torch's own."""

from typing import Any, assert_never

import torch
from torch import nn

from fbmon.recipe import AdamW, AnyOptimizer, Sgd


def make_optimizer(model: nn.Module, wanted: AnyOptimizer) -> torch.optim.Optimizer:
    """SGD or AdamW over all parameters; weight decay acts on those that `decayed` names."""
    acted_on = decayed(model, wanted)
    kept = {id(parameter) for parameter in acted_on}
    others = [parameter for parameter in model.parameters() if id(parameter) not in kept]
    groups: list[dict[str, Any]] = [
        {"params": acted_on},
        *([{"params": others, "weight_decay": 0.0}] if others else []),
    ]
    match wanted:
        case Sgd():
            return torch.optim.SGD(
                groups,
                lr=wanted.lr,
                momentum=wanted.momentum,
                nesterov=wanted.nesterov,
                weight_decay=wanted.weight_decay,
                foreach=True,
            )
        case AdamW():
            return torch.optim.AdamW(
                groups,
                lr=wanted.lr,
                betas=(wanted.beta1, wanted.beta2),
                eps=wanted.epsilon,
                weight_decay=wanted.weight_decay,
                foreach=True,
            )
        case _:
            assert_never(wanted)


def decayed(model: nn.Module, wanted: AnyOptimizer) -> list[nn.Parameter]:
    """The parameters that weight decay acts on: all, as in the paper's code, or those of two and more dimensions."""
    parameters = list(model.parameters())
    return parameters if wanted.decay_on == "all" else [one for one in parameters if one.dim() > 1]
