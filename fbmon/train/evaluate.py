"""Validation: its steps, and loss and accuracy over held-out samples, in evaluation mode; shared by the ranks."""

import math
from collections.abc import Callable

import torch
from torch import nn

from fbmon.recipe import Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.objective.loss import Objective, hits
from fbmon.train.ranks.distribute import ALONE, Ranks

_BLOCK = 500  # samples at a time; affects results only by rounding


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: DataSet,
    objective: Objective,
    on_block: Callable[[int, int], None] = lambda _done, _total: None,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Return the mean `val_loss` and `val_accuracy` over all validation targets; set the model to eval mode.

    Where targets are numbers there is no accuracy.

    The bits are the same on any number of ranks: the blocks are, and they are added in order. `on_block(done, total)`
    is called before each round of one block a rank and may raise, on all ranks.
    """
    model.eval()
    dtype = next(model.parameters()).dtype
    parts = data.val.split(_BLOCK)
    data.val.expect([parts[k] for k in ranks.own(len(parts))])
    rows = torch.zeros(len(parts), 2, dtype=torch.float64, device=data.device)
    for first, k in ranks.rounds(len(parts)):
        on_block(first, len(parts))
        if k is None:
            continue
        inputs, targets = data.read(data.val, parts[k], dtype)
        outputs = model(inputs)
        rows[k] = torch.stack([objective.total(outputs, targets).double(), hits(outputs, targets)])
    ranks.sum_(rows)  # each block's row is zero on all ranks but one
    losses, correct = rows.T.tolist()
    values = {"val_loss": math.fsum(losses) / len(data.val)}
    return values if data.form.classes is None else values | {"val_accuracy": sum(correct) / data.val.targets.numel()}


def is_validated(recipe: Recipe, step: int) -> bool:
    """Say whether a validation follows this step."""
    return step > 0 and ((step - 1) % recipe.validation.every == 0 or step == recipe.steps)
