"""The full gradient at a checkpoint, as the training computes it, in one way or another."""

from dataclasses import replace

import torch
from torch import Tensor

from fbmon.analysis.worker.weights import bare, read_weights
from fbmon.recipe import Recipe
from fbmon.run import RunFolder
from fbmon.run.checkpoints import path_of
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.step import Stepper
from fbmon.train.step_plan import Update


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
    stepper = Stepper(recipe, data, model, lambda _: None, lambda: None, ranks)
    following = stepper.plan_step(step + 1)
    if backwards:
        following = replace(following, blocks=following.blocks[::-1])
    gradient, _ = stepper.descent.gradient(Update(following, following.blocks))
    return torch.cat([part.flatten() for part in gradient]).cpu()
