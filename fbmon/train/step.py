"""One step of a run: its updates of the weights, and what is told of them; and one validation."""

import time
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from fbmon.errors import NonFiniteError, UsageError
from fbmon.events import GradientClipped, ProgressMade, StepTaken, TrainingStarted, Validated
from fbmon.metrics import HIGHEST_IS_BEST, score_of
from fbmon.recipe import LineSearch, Recipe
from fbmon.train.average import Average
from fbmon.train.control import Control, Emit, Interrupted, NextCommand
from fbmon.train.data.blocks import Batch, batch, expect
from fbmon.train.data.data import DataSet
from fbmon.train.descent import Descent
from fbmon.train.evaluate import evaluate
from fbmon.train.hardware.precision import autocast
from fbmon.train.measure import Measures, combine
from fbmon.train.randomness import random_parts
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.snapshot import Snapshot
from fbmon.train.step_plan import Step, plan_step
from fbmon.train.tell import plan, rank_seconds, step_values


class Stepper:
    """The state that steps share; `step` is the number of steps that the weights have behind them."""

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
        self._least_seconds: float | None = None  # that a step would take at the attainable rate
        self.model = model
        self.control = Control(emit, next_command, ranks)
        self._recipe = recipe
        self._data = data
        self._emit = emit
        self._ranks = ranks
        blocks = len(self.plan_step(1).blocks)
        self.random_parts = self._random_parts()
        if self.random_parts and isinstance(recipe.optimizer, LineSearch):
            raise UsageError(
                f'optimizer.name = "{recipe.optimizer.name}": searches for its steps on one and the same loss, but '
                f"this network is random at each step ({', '.join(self.random_parts)})"
            )
        self.descent = Descent(
            recipe,
            model,
            blocks,
            self._batch,
            ranks,
            emit,
            self.control.at_block,
            is_random=bool(self.random_parts),
            expect=partial(expect, data, recipe.data) if data.is_streamed else None,
        )
        self.average = Average(model, recipe.ema)

    def plan(self) -> TrainingStarted:
        """Return what is about to be trained."""
        following = self.plan_step(self.step + 1)
        engine = self.descent.make_ready(following)
        blocks = self.plan_step(1).blocks
        started = plan(self._recipe, self._data, self.model, blocks, self._ranks, engine, self.random_parts)
        if started.flop_per_step and started.attainable_flops:
            self._least_seconds = started.flop_per_step / started.attainable_flops
        return started

    def plan_step(self, number: int) -> Step:
        """Return step `number`, counted from 1, to be taken or looked at."""
        return plan_step(self._recipe, self._data.train, number)

    def take_step(self, step: Step) -> Measures:
        """Update the weights, once or once per block, and emit what was measured.

        Raises Interrupted or NonFiniteError, the state then being that before the step.
        """
        began, paused = time.perf_counter(), self.control.paused_seconds
        # An update by all blocks is the step's last act, unless it is searched for.
        moving = self.descent.optimizer if step.is_by_block or self.descent.search else None
        before = Snapshot(self.model, moving, self.descent.units().values())
        try:
            updates = [self.descent.update_(update) for update in step.updates()]
        except (Interrupted, NonFiniteError):
            before.restore_()
            raise
        self.average.follow()
        self.step = step.number
        seconds = time.perf_counter() - began - (self.control.paused_seconds - paused)
        return self._tell(step, updates, seconds)

    def validate(self, step: int) -> float:
        """Emit loss and accuracy over the validation samples; return the accuracy, or without one the negative loss."""

        def on_block(done: int, total: int) -> None:
            self._emit(ProgressMade("validating", step, done, total))
            self.control.at_block()

        with autocast(self._recipe.precision, self._data.device):
            objective = self.descent.network.objective
            values = evaluate(self.average.model, self._data, objective, on_block, self._ranks)
        self._emit(Validated(step, {**values}))
        score = score_of(values) or "val_loss"
        return values[score] if score in HIGHEST_IS_BEST else -values[score]

    def _tell(self, step: Step, updates: list[Measures], seconds: float) -> Measures:
        recipe, measures = self._recipe, combine(updates)
        if step.is_by_block:  # the weights that the pass has led to
            param_norm, decayed_norm = self.descent.weight_norms()
            measures = replace(measures, param_norm=param_norm, decayed_norm=decayed_norm)
        longest = max(update.grad_norm for update in updates)
        if recipe.clip and recipe.clip.norm and longest > recipe.clip.norm:
            self._emit(GradientClipped(step.number, longest, recipe.clip.norm))
        parts = self.descent.watch.lap()
        of_ranks = rank_seconds(parts, self._ranks)
        descent, least = self.descent, self._least_seconds
        values = step_values(
            step,
            measures,
            recipe,
            self._data.form,
            descent.regularizer,
            descent.search,
            seconds,
            parts,
            least,
            of_ranks,
        )
        self._emit(StepTaken(step.number, values, of_ranks))
        return measures

    def _random_parts(self) -> list[str]:
        """Return what is random in another's network; fbmon's own have nothing that is."""
        if self._recipe.model.reference is None:
            return []
        dtype = next(self.model.parameters()).dtype
        first = self._data.train.inputs[:2].to(self._data.device)
        return random_parts(self.model, self._data.prepare(first, dtype))

    def _batch(self, numbers: Tensor, step: int | Tensor) -> Batch:
        dtype = next(self.model.parameters()).dtype
        return batch(self._data, self._recipe.data, numbers, self._recipe.seed, step, dtype)
