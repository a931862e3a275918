"""The full gradient at a checkpoint, as the training computes it, in one way or another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fbmon.analysis.worker.weights import bare, read_weights
from fbmon.recipe import Recipe
from fbmon.recipe.schedule import learning_rate
from fbmon.run import RunFolder
from fbmon.run.checkpoints import path_of
from fbmon.train.data.blocks import Batch, batch, blocks
from fbmon.train.descent import Descent, Work
from fbmon.train.ranks.distribute import ALONE, Ranks


def gradient_after(
    folder: RunFolder, recipe: Recipe, step: int, device: str, ranks: Ranks = ALONE, *, backwards: bool = False
) -> Tensor:
    """Return the clipped gradient (n,) of step `step` + 1 at the weights after `step`, on the host.

    It is computed in the recipe's precision, on exactly the images of that step, so that augmentation makes no
    difference; `backwards`: with its blocks in reverse.
    """
    model, data = bare(folder, recipe, device)
    if step:
        path = path_of(folder.checkpoints, step)
        model.load_state_dict(read_weights(path, model, folder.first_name(), averaged=False))
    where, following = data.train.labels.device, step + 1
    dtype = next(model.parameters()).dtype
    numbers = blocks(len(data.train), recipe.data, recipe.gradient, recipe.seed, following, where)

    def make_batch(block: Tensor, at: int | Tensor) -> Batch:
        return batch(data, recipe.data, block, recipe.seed, at, dtype)

    descent = Descent(recipe, model, len(numbers), make_batch, ranks)
    work = Work(
        numbers[::-1] if backwards else numbers,
        following,
        learning_rate(step, recipe.schedule, recipe.optimizer.lr),
        lambda _: None,
        lambda: None,
    )
    descent.aim_(work)
    parts: Sequence[Tensor] = [part.grad for part in model.parameters() if part.grad is not None]
    return torch.cat([part.flatten() for part in parts]).cpu()
