"""The optimizer of a recipe: torch's own."""

import torch
from torch import nn

from fbmon.recipe import Sgd


def make_optimizer(model: nn.Module, wanted: Sgd) -> torch.optim.SGD:
    """SGD over all parameters; weight decay acts on batch norm and biases too, as in the paper's code."""
    return torch.optim.SGD(
        model.parameters(),
        lr=wanted.lr,
        momentum=wanted.momentum,
        nesterov=wanted.nesterov,
        weight_decay=wanted.weight_decay,
        foreach=True,
    )
