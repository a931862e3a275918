"""The state before a pass, kept so that an unfinished pass can be undone."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Snapshot:
    """A copy of the batch-norm statistics and of `others`, and with an optimizer of the weights and its state too.

    A pass that updates only at its end changes no weight before it is over.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None, others: Iterable[Tensor] = ()
    ) -> None:
        self._optimizer = optimizer
        self._tensors = [*model.buffers(), *others, *(model.parameters() if optimizer else ())]
        self._copies = [tensor.detach().clone() for tensor in self._tensors]
        self._optimizer_state = copy.deepcopy(optimizer.state_dict()) if optimizer else None

    @torch.no_grad()
    def restore_(self) -> None:
        """Put everything back, to the last bit."""
        if self._tensors:
            torch._foreach_copy_(self._tensors, self._copies)
        if self._optimizer is not None and self._optimizer_state is not None:
            self._optimizer.load_state_dict(self._optimizer_state)
