"""A step of a run: an update of the weights, or one per block, and its report; and a validation."""

import time
from dataclasses import replace

from torch import Tensor, nn

from fbmon.errors import NonFiniteError
from fbmon.events import (
    GradientClipped,
    NonFiniteFound,
    PassRepeated,
    ProgressMade,
    StepTaken,
    Task,
    TrainingStarted,
    Validated,
)
from fbmon.recipe import Gradient, Recipe
from fbmon.recipe.schedule import learning_rate
from fbmon.train.average import Average
from fbmon.train.control import Control, Emit, Interrupted, NextCommand
from fbmon.train.data.blocks import Batch, batch, blocks
from fbmon.train.data.data import DataSet
from fbmon.train.descent import Descent, Work
from fbmon.train.evaluate import evaluate
from fbmon.train.hardware.precision import autocast
from fbmon.train.measure import Measures, combine
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.snapshot import Snapshot
from fbmon.train.tell import plan, rank_seconds, step_values


class Stepper:
    """The state that steps share; `step` is the number of steps taken so far."""

    def __init__(
        self,
        recipe: Recipe,
        data: DataSet,
        model: nn.Module,
        emit: Emit,
        next_command: NextCommand,
        ranks: Ranks = ALONE,
    ) -> None:
        self.step = 0
        self._least_seconds: float | None = None  # for a step at the attainable rate
        self.model = model
        self.control = Control(emit, next_command, ranks)
        self._recipe = recipe
        self._data = data
        self._emit = emit
        self._ranks = ranks
        self.descent = Descent(recipe, model, len(self._blocks(1)), self._batch, ranks)
        self.average = Average(model, recipe.ema)

    def plan(self) -> TrainingStarted:
        """Prepare for training and return its plan."""
        cut = self._blocks(1)
        engine = self.descent.make_ready(cut[:1] if is_by_block(self._recipe.gradient, self.step + 1) else cut)
        started = plan(self._recipe, self._data, self.model, cut, self._ranks, engine)
        if started.flop_per_step and started.attainable_flops:
            self._least_seconds = started.flop_per_step / started.attainable_flops
        return started

    def take_step(self, step: int) -> Measures:
        """Update the weights, once or once per block, and report the measures.

        Raises Interrupted or NonFiniteError, with the state restored to that before the step.
        """
        began, paused = time.perf_counter(), self.control.paused_seconds
        rate = learning_rate(step - 1, self._recipe.schedule, self._recipe.optimizer.lr)
        numbers = self._blocks(step)
        by_block = is_by_block(self._recipe.gradient, step)
        before = Snapshot(self.model, self.descent.optimizer if by_block else None, self.descent.units().values())
        updates = [[block] for block in numbers] if by_block else [numbers]
        try:
            measures = [self._update(step, numbers, update, first, rate) for first, update in enumerate(updates)]
        except (Interrupted, NonFiniteError):
            before.restore_()
            raise
        self.average.follow()
        self.step = step
        seconds = time.perf_counter() - began - (self.control.paused_seconds - paused)
        return self._tell(step, measures, rate, seconds)

    def validate(self, step: int) -> float | None:
        """Report the loss and accuracy over the validation images, and return the accuracy."""
        with autocast(self._recipe.precision, self._data.val.labels.device):
            values = evaluate(
                self.average.model,
                self._data,
                lambda done, total: self._on_block("validating", step, done, total),
                self._ranks,
            )
        self._emit(Validated(step, values))
        return values["val_accuracy"]

    def _blocks(self, step: int) -> list[Tensor]:
        images, labels = len(self._data.train), self._data.train.labels
        return blocks(images, self._recipe.data, self._recipe.gradient, self._recipe.seed, step, labels.device)

    def _update(self, step: int, every: list[Tensor], numbers: list[Tensor], first: int, rate: float) -> Measures:
        """Make one update by the mean over the blocks `numbers`, from index `first` among `every` block of the step."""
        work = Work(
            numbers,
            step,
            rate,
            lambda k: self._on_block("training", step, first + k, len(every)),
            lambda: self._emit(PassRepeated(step)),
            sum(map(len, numbers)) / sum(map(len, every)),
            goes_on=first > 0,
        )
        measures = self.descent.aim_(work)
        self._check(step, measures)
        self.descent.move_(rate)
        return measures

    def _tell(self, step: int, updates: list[Measures], rate: float, seconds: float) -> Measures:
        recipe, measures = self._recipe, combine(updates)
        if is_by_block(recipe.gradient, step):  # of the weights after the pass
            param_norm, decayed_norm = self.descent.weight_norms()
            measures = replace(measures, param_norm=param_norm, decayed_norm=decayed_norm)
        longest = max(update.grad_norm for update in updates)
        if recipe.clip and recipe.clip.norm and longest > recipe.clip.norm:
            self._emit(GradientClipped(step, longest, recipe.clip.norm))
        parts = self.descent.watch.lap()
        of_ranks = rank_seconds(parts, self._ranks)
        values = step_values(measures, recipe, rate, seconds, parts, self._least_seconds, of_ranks)
        self._emit(StepTaken(step, values, of_ranks))
        return measures

    def _batch(self, numbers: Tensor, step: int | Tensor) -> Batch:
        dtype = next(self.model.parameters()).dtype
        return batch(self._data, self._recipe.data, numbers, self._recipe.seed, step, dtype)

    def _check(self, step: int, measures: Measures) -> None:
        wrong = measures.not_finite()
        if wrong:
            self._emit(NonFiniteFound(step, wrong))
            raise NonFiniteError(
                f"step {step} was not finite ({', '.join(wrong)})",
                "a lower learning rate, a longer warm-up or a smaller clip norm may help",
            )

    def _on_block(self, task: Task, step: int, done: int, total: int) -> None:
        self._emit(ProgressMade(task, step, done, total))
        self.control.at_block()


def is_by_block(gradient: Gradient, step: int) -> bool:
    """Say whether step `step`, counted from 1, updates after every block."""
    switched = gradient.switch_at is not None and step >= gradient.switch_at
    return (gradient.update == "block") != switched
