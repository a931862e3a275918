"""Muon for the matrices of hidden layers and AdamW for all else, in one optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fbmon.errors import UsageError
from fbmon.recipe import Muon

_WITH_MATRICES = (nn.Linear, nn.modules.conv._ConvNd, nn.MultiheadAttention)


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of the linear, convolutional and attention layers, but those of the first and the last one.

    The order is that in which the model names them. A network that begins with an embedding has its first layer there.
    """
    layers = [module for module in model.modules() if isinstance(module, (*_WITH_MATRICES, nn.Embedding))]
    of_layers = [_matrices(layer) for layer in layers]
    seen = dict.fromkeys(matrix for matrices in of_layers[1:-1] for matrix in matrices)
    outer = {id(parameter) for layer in (layers[:1] + layers[-1:]) for parameter in layer.parameters()}
    return [matrix for matrix in seen if id(matrix) not in outer]  # an output tied to another layer is its matrix too


def _matrices(layer: nn.Module) -> list[nn.Parameter]:
    if isinstance(layer, nn.Embedding):
        return []
    return [parameter for parameter in layer.parameters(recurse=False) if parameter.dim() > 1]


class MuonWithAdamW(torch.optim.Optimizer):
    """Torch's Muon and AdamW over one state and one list of groups, those of Muon's matrices first.

    Muon takes matrices alone: a convolution's kernel is one with a row for each output channel, as its authors have it
    (github.com/KellerJordan/Muon). It works on a copy, as a kernel may lie in memory with its channels last.
    """

    def __init__(self, model: nn.Module, section: Muon, decayed: list[nn.Parameter]) -> None:
        hidden = hidden_matrices(model)
        if not hidden:
            raise UsageError(
                'optimizer.name = "muon": this network has no linear or convolutional layer between its first and last',
                "such a network is adamw's alone",
            )
        is_hidden, is_decayed = ({id(parameter) for parameter in group} for group in (hidden, decayed))
        others = [parameter for parameter in model.parameters() if id(parameter) not in is_hidden]
        self._flat = {parameter: nn.Parameter(_flat(parameter)) for parameter in hidden}
        self._muon = torch.optim.Muon(
            list(self._flat.values()),
            lr=section.lr,
            weight_decay=section.weight_decay,
            momentum=section.momentum,
            nesterov=section.nesterov,
            ns_steps=section.ns_steps,
        )
        self._adamw = torch.optim.AdamW(
            [
                {"params": [parameter for parameter in others if (id(parameter) in is_decayed) == decays],
                 "weight_decay": section.weight_decay if decays else 0.0}
                for decays in (True, False)
                if any((id(parameter) in is_decayed) == decays for parameter in others)
            ],
            lr=section.adamw_lr,
            betas=(section.beta1, section.beta2),
            eps=section.epsilon,
            foreach=True,
        )  # fmt: skip
        of_adamw = {"lr": section.adamw_lr, "lr_share": section.adamw_lr / section.lr}
        groups: list[dict[str, Any]] = [
            {"params": hidden, "lr": section.lr, "lr_share": 1.0},
            *({"params": group["params"], **of_adamw} for group in self._adamw.param_groups),
        ]
        super().__init__(groups, {"lr": section.lr, "lr_share": 1.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step with the learning rates of the groups; both parts work on this optimizer's own state."""
        for part, groups in ((self._muon, self.param_groups[:1]), (self._adamw, self.param_groups[1:])):
            for inner, group in zip(part.param_groups, groups, strict=True):
                inner["lr"] = group["lr"]
        self._adamw.state = self.state
        for parameter, matrix in self._flat.items():
            matrix.copy_(_flat(parameter))
            matrix.grad = None if parameter.grad is None else _flat(parameter.grad)
            self._muon.state[matrix] = self.state[parameter]
        self._muon.step()
        self._adamw.step()
        for parameter, matrix in self._flat.items():
            parameter.copy_(matrix.view_as(parameter))


def _flat(tensor: Tensor) -> Tensor:
    """Return a copy with a row for each output channel."""
    return tensor.detach().flatten(1).clone(memory_format=torch.contiguous_format)
