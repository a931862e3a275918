"""The number of passes over the data that a run has made, by which methods are compared.

A pass is one forward and one backward through the network for every image of a step. The gradient's penalty makes
further ones: one for each gradient at shifted weights, one for a gradient that is differentiated once more, and one for
the full gradient before the step's own. A line search makes one for each look. What is not counted: validation, the
analysis, and the passes that are repeated because the exact mean had to adapt, which say nothing about a method.
"""

from collections.abc import Sequence

from fbmon.recipe import Gradient
from fbmon.train.objective.regularize import Regularizer
from fbmon.train.step_plan import is_by_block


def passes_until(step: int, gradient: Gradient, blocks: int, regularizer: Regularizer | None) -> int:
    """Return the passes that the first steps, up to `step`, of `blocks` blocks each, make without a line search."""
    switch = gradient.switch_at or step + 1
    before = min(step, switch - 1)
    spans: Sequence[tuple[int, int]] = [(before, 1), (step - before, switch)]
    return sum(count * _of_step(is_by_block(gradient, number), blocks, regularizer) for count, number in spans)


def _of_step(is_by_block: bool, blocks: int, regularizer: Regularizer | None) -> int:
    if regularizer is None:
        return 1
    for_full = regularizer.needs_full_gradient(1 if is_by_block else blocks)
    return regularizer.passes + regularizer.differentiates_twice + for_full
