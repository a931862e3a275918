"""Validation: loss and accuracy over held-out images, batch norm in evaluation mode."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fbmon.train.data import DataSet

_BLOCK = 500  # images at a time; no result depends on it but by rounding


@torch.no_grad()
def evaluate(model: nn.Module, data: DataSet, on_block: Callable[[int, int], None]) -> dict[str, float | None]:
    """`val_loss` (mean cross-entropy) and `val_accuracy` over all validation images; leaves the model in eval mode.

    `on_block(done, total)` is called before each block and may raise.
    """
    model.eval()
    dtype = next(model.parameters()).dtype
    total = torch.zeros(2, dtype=torch.float64, device=data.val.labels.device)
    pictures, labels = torch.split(data.val.pictures, _BLOCK), torch.split(data.val.labels, _BLOCK)
    for done, (some, their_labels) in enumerate(zip(pictures, labels, strict=True)):
        on_block(done, len(labels))
        logits = model(data.normalize(some, dtype))
        loss = cross_entropy(logits, their_labels, reduction="sum")
        correct = (logits.argmax(1) == their_labels).sum()
        total += torch.stack([loss.double(), correct.double()])
    loss_sum, correct_sum = (total / len(data.val)).tolist()
    return {"val_loss": loss_sum, "val_accuracy": correct_sum}
