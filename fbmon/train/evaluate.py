"""Validation: its steps, and loss and accuracy over held-out images, in evaluation mode; shared by the ranks."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fbmon.recipe import Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.ranks.distribute import ALONE, Ranks

_BLOCK = 500  # images at a time; affects results only by rounding


@torch.no_grad()
def evaluate(
    model: nn.Module, data: DataSet, on_block: Callable[[int, int], None], ranks: Ranks = ALONE
) -> dict[str, float | None]:
    """Return `val_loss` (mean cross-entropy) and `val_accuracy` over all validation images; set the model to eval mode.

    The bits are the same on any number of ranks: the blocks are, and they are added in order. `on_block(done, total)`
    is called before each round of one block a rank and may raise, on all ranks.
    """
    model.eval()
    dtype = next(model.parameters()).dtype
    pictures, labels = torch.split(data.val.pictures, _BLOCK), torch.split(data.val.labels, _BLOCK)
    rows = torch.zeros(len(labels), 2, dtype=torch.float64, device=data.val.labels.device)
    for first, k in ranks.rounds(len(labels)):
        on_block(first, len(labels))
        if k is None:
            continue
        logits = model(data.normalize(pictures[k], dtype))
        loss = cross_entropy(logits, labels[k], reduction="sum")
        correct = (logits.argmax(1) == labels[k]).sum()
        rows[k] = torch.stack([loss.double(), correct.double()])
    ranks.sum_(rows)  # each block's row is zero on all ranks but one
    losses, hits = rows.T.tolist()
    return {"val_loss": math.fsum(losses) / len(data.val), "val_accuracy": sum(hits) / len(data.val)}


def is_validated(recipe: Recipe, step: int) -> bool:
    """Say whether a validation follows this step."""
    return step > 0 and ((step - 1) % recipe.validation.every == 0 or step == recipe.steps)
