"""The exponential moving average of the weights, and of the batch-norm statistics with them."""

import copy

import torch
from torch import nn

from fbmon.recipe import Ema


class Average:
    """A copy of the model that follows its weights; without an `ema`, the model itself."""

    def __init__(self, model: nn.Module, ema: Ema | None) -> None:
        self._source = model
        self._ema = ema
        self.model = copy.deepcopy(model) if ema else model

    @torch.no_grad()
    def follow(self) -> None:
        """Set average = momentum * average + (1 - momentum) * weights; copy counters."""
        if self._ema is None:
            return
        averages, present = self.model.state_dict().values(), self._source.state_dict().values()
        for average, value in zip(averages, present, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - self._ema.momentum)
            else:
                average.copy_(value)
