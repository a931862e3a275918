"""The analysis that a recipe asks for while training: the sharpness now and then, and a few numbers of every step.

It only observes: a run with it has the weights of a run without it, to the last bit.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fbmon.events import Analysed, ProgressMade
from fbmon.recipe import Analysis, Recipe
from fbmon.recipe.stability import stability_limit
from fbmon.train.control import Emit
from fbmon.train.data.blocks import batch
from fbmon.train.data.data import DataSet
from fbmon.train.hardware.precision import logits_of
from fbmon.train.measure import Measures, norm_of
from fbmon.train.objective.loss import make_objective
from fbmon.train.randomness import seed_block_
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.sharpness.hessian import Hessian
from fbmon.train.sharpness.lanczos import Spectrum, largest, start_vector
from fbmon.train.snapshot import Snapshot
from fbmon.train.step_plan import Step

_TOLERANCE = 1e-3  # of a residual; the eigenvalue itself is then good to about its square


class Analyst:
    """The analysis of each step, before and after it; `at_block` is called at every block and may raise."""

    def __init__(
        self,
        recipe: Recipe,
        section: Analysis,
        data: DataSet,
        model: nn.Module,
        emit: Emit,
        at_block: Callable[[], None],
        ranks: Ranks = ALONE,
        *,
        is_random: bool = False,
    ) -> None:
        self._recipe = recipe
        self._objective = make_objective(recipe.loss)
        self._is_random = is_random
        self._section = section
        self._data = data
        self._model = model
        self._emit = emit
        self._at_block = at_block
        self._ranks = ranks
        self._parameters = list(model.parameters())
        self._begin = [parameter.detach().clone() for parameter in self._parameters]
        self._gradient: list[Tensor] | None = None  # of the last full-batch update

    def before(self, step: Step) -> None:
        """Measure at the weights from which the step starts, with its own images."""
        with torch.no_grad():
            moved = [now - begin for now, begin in zip(self._parameters, self._begin, strict=True)]
            self._distance = norm_of(moved)
        if self._is_due(step.number):
            spectrum = self.spectrum(step)
            values: dict[str, float | None] = {"sharpness": spectrum.values[0] if spectrum.values else None}
            values |= {f"eigenvalue_{number}": value for number, value in enumerate(spectrum.values[1:], 2)}
            self._emit(Analysed(step.number, values, spectrum.residuals[0] if spectrum.values else None))

    def after(self, step: Step, measures: Measures) -> None:
        """Report on the step that was taken."""
        values: dict[str, float | None] = {"distance": self._distance.item()}
        if not step.is_by_block:
            values |= self._of_gradient(measures)
            limit = stability_limit(self._recipe.optimizer, step.learning_rate, self._clip_scale(measures))
            if self._is_due(step.number) and limit is not None and not measures.clipped_blocks:
                values["stability_limit"] = limit
        self._emit(Analysed(step.number, values))

    def spectrum(self, step: Step) -> Spectrum:
        """Return the largest eigenvalues of the Hessian of the loss that the step is to descend."""
        most, numbers = self._section.products, step.blocks[: self._section.blocks]
        done = 0

        def on_block(_: int) -> None:
            nonlocal done
            self._emit(ProgressMade("analysing", step.number, done, most * len(numbers)))
            done += self._ranks.size
            self._at_block()

        images = [len(block) for block in numbers]

        def loss(k: int) -> Tensor:
            if self._is_random:
                seed_block_(self._recipe.seed, step.number, numbers[k])
            return self._loss(numbers[k], step.number)

        hessian = Hessian(loss, self._parameters, images, on_block, self._ranks)
        statistics = Snapshot(self._model)  # batch norm records every forward pass
        self._model.train()
        try:
            start = start_vector(self._begin, self._recipe.seed)
            return largest(hessian.product, start, self._section.eigenvalues, most, _TOLERANCE)
        finally:
            statistics.restore_()

    def _loss(self, numbers: Tensor, step: int) -> Tensor:
        recipe = self._recipe
        inputs, targets = batch(self._data, recipe.data, numbers, recipe.seed, step, self._parameters[0].dtype)
        logits = logits_of(self._model, inputs, recipe.precision)
        return self._objective.mean(logits, targets)

    def _of_gradient(self, measures: Measures) -> dict[str, float | None]:
        """Return agreement and cosine of the gradient; the clipped one will do, as clipping changes no direction."""
        now = [parameter.grad.detach().clone() for parameter in self._parameters if parameter.grad is not None]
        before, self._gradient = self._gradient, now
        values: dict[str, float | None] = {}
        if measures.block_square > 0:
            values["block_agreement"] = measures.grad_norm / math.sqrt(measures.block_square)
        if before and (cosine := _cosine(before, now)) is not None:
            values["gradient_cosine"] = cosine
        return values

    def _is_due(self, step: int) -> bool:
        every = self._section.sharpness_every
        return every is not None and (step - 1) % every == 0

    def _clip_scale(self, measures: Measures) -> float:
        norm = self._recipe.clip.norm if self._recipe.clip else None
        return min(1.0, norm / measures.grad_norm) if norm and measures.grad_norm else 1.0


def _cosine(before: Sequence[Tensor], now: Sequence[Tensor]) -> float | None:
    """Return the cosine between two vectors given in parts; None if one is zero."""
    dots = [a.double().flatten() @ b.double().flatten() for a, b in zip(before, now, strict=True)]
    dot, first, second = torch.stack([torch.stack(dots).sum(), norm_of(before), norm_of(now)]).tolist()
    return dot / (first * second) if first and second else None
