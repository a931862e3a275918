"""The run, first step to last.

prepare     device, data, model; the method and its optimizer (descent.py)
each step   aim: gradient over all blocks, norm and clipping, one look from the host -> move: update -> tell
sometimes   validate; a stop is looked for at every block
at the end  save
"""

import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fbmon.errors import FbmonError, NonFiniteError
from fbmon.events import (
    CheckpointSaved,
    GradientClipped,
    NonFiniteFound,
    PassRepeated,
    PhaseEntered,
    ProgressMade,
    State,
    StepTaken,
    Task,
    TrainingStarted,
    Validated,
)
from fbmon.recipe import Gradient, Recipe
from fbmon.schedule import learning_rate
from fbmon.train import checkpoint
from fbmon.train.average import Average
from fbmon.train.blocks import Batch, batch, blocks
from fbmon.train.control import Control, Emit, Interrupted, NextCommand
from fbmon.train.data import DataSet, load
from fbmon.train.descent import Descent, Work
from fbmon.train.evaluate import evaluate
from fbmon.train.measure import Measures, combine, decay_loss, full_loss, penalty_loss
from fbmon.train.models import make_model
from fbmon.train.precision import autocast, set_precision_
from fbmon.train.snapshot import Snapshot


def train(
    recipe: Recipe,
    devices: str,
    data_dir: Path | None,
    checkpoints: Path,
    emit: Emit,
    next_command: NextCommand,
) -> State:
    """Train as the recipe says and tell everything to `emit`; return how it ended.

    Raises DataError, FbmonError (no such device) and NonFiniteError, whose weights are those of the last good step.
    """
    device = choose_device(devices)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False  # it may choose another algorithm, and other bits, each time
    emit(PhaseEntered("loading data"))
    data = load(recipe.data, data_dir, device, emit)
    emit(PhaseEntered("building the model"))
    torch.manual_seed(recipe.seed)
    model = make_model(recipe.model, data.train.pictures.shape[1], data.classes).to(device)
    set_precision_(model, recipe.precision)
    loop = Loop(recipe, data, model, emit, next_command)
    emit(loop.plan())
    emit(PhaseEntered("training"))
    state: State = "finished"
    try:
        for step in range(1, recipe.steps + 1):
            loop.take_step(step)
            if (step - 1) % recipe.validation.every == 0 or step == recipe.steps:
                loop.validate(step)
            if step < recipe.steps:
                loop.control.after_step(lambda: loop.save(checkpoints))
    except Interrupted as interrupted:
        state = interrupted.state
    except NonFiniteError:
        loop.save(checkpoints)  # the last finite weights
        raise
    loop.save(checkpoints)
    return state


class Loop:
    """What the steps share; `step` is the number of steps that the weights have behind them."""

    def __init__(self, recipe: Recipe, data: DataSet, model: nn.Module, emit: Emit, next_command: NextCommand) -> None:
        self.step = 0
        self._recipe = recipe
        self._data = data
        self._model = model
        self._emit = emit
        self.control = Control(emit, next_command)
        self._descent = Descent(recipe, model, len(self._blocks(1)))
        self._average = Average(model, recipe.ema)

    def take_step(self, step: int) -> Measures:
        """Update the weights, once or once per block, and tell what was measured.

        Raises Interrupted or NonFiniteError, the state then being that before the step.
        """
        began, paused = time.perf_counter(), self.control.paused_seconds
        rate = learning_rate(step - 1, self._recipe.schedule, self._recipe.optimizer.lr)
        numbers = self._blocks(step)
        by_block = is_by_block(self._recipe.gradient, step)
        before = Snapshot(self._model, self._descent.optimizer if by_block else None)
        updates = [[some] for some in numbers] if by_block else [numbers]
        try:
            told = [self._update(step, some, place, len(numbers), rate) for place, some in enumerate(updates)]
        except (Interrupted, NonFiniteError):
            before.restore_()
            raise
        self._average.follow()
        self.step = step
        seconds = time.perf_counter() - began - (self.control.paused_seconds - paused)
        return self._tell(step, told, rate, seconds)

    def validate(self, step: int) -> None:
        """Tell the loss and accuracy over the validation images."""
        with autocast(self._recipe.precision, self._data.val.labels.device):
            values = evaluate(
                self._average.model, self._data, lambda done, total: self._on_block("validating", step, done, total)
            )
        self._emit(Validated(step, values))

    def save(self, checkpoints: Path) -> None:
        """Write a checkpoint of the present state."""
        saved = checkpoint.save(checkpoints, self._model, self._descent.optimizer, self.step)
        self._emit(CheckpointSaved(self.step, f"{checkpoints.name}/{saved.name}"))

    def plan(self) -> TrainingStarted:
        """What is about to be trained."""
        recipe, cut, device = self._recipe, self._blocks(1), self._data.train.labels.device
        threads = torch.get_num_threads()
        is_cuda = device.type == "cuda"
        name = torch.cuda.get_device_name(device) if is_cuda else f"{threads} CPU thread{'s'[: threads > 1]}"
        return TrainingStarted(
            steps=recipe.steps,
            blocks=len(cut),
            images=sum(len(numbers) for numbers in cut),
            val_images=len(self._data.val),
            parameters=sum(parameter.numel() for parameter in self._model.parameters()),
            device=f"{device} ({name})" if is_cuda else name,
            precision=recipe.precision,
            validation_every=recipe.validation.every,
            clip_norm=recipe.clip.norm if recipe.clip else None,
            target_val_accuracy=recipe.target.val_accuracy if recipe.target else None,
            target_source=recipe.target.source if recipe.target else "",
        )

    def _blocks(self, step: int) -> list[Tensor]:
        images, labels = len(self._data.train), self._data.train.labels
        return blocks(images, self._recipe.data, self._recipe.gradient, self._recipe.seed, step, labels.device)

    def _update(self, step: int, numbers: list[Tensor], place: int, places: int, rate: float) -> Measures:
        """One update by the mean over the blocks `numbers`; the first is block `place` of the `places` of the step."""
        work = Work(
            numbers,
            lambda some: self._batch(some, step),
            rate,
            lambda k: self._on_block("training", step, place + k, places),
            lambda: self._emit(PassRepeated(step)),
        )
        measures = self._descent.aim_(work)
        self._check(step, measures)
        self._descent.move_(rate)
        return measures

    def _tell(self, step: int, told: list[Measures], rate: float, seconds: float) -> Measures:
        recipe, measures = self._recipe, combine(told)
        if is_by_block(recipe.gradient, step):  # the weights that the pass has led to
            param_norm, decayed_norm = self._descent.weight_norms()
            measures = replace(measures, param_norm=param_norm, decayed_norm=decayed_norm)
        longest = max(update.grad_norm for update in told)
        if recipe.clip and recipe.clip.norm and longest > recipe.clip.norm:
            self._emit(GradientClipped(step, longest, recipe.clip.norm))
        full = full_loss(measures, recipe, rate)
        values: dict[str, float | None] = {
            "loss": measures.loss,
            "full_loss": full,
            "accuracy": measures.accuracy,
            "grad_norm": measures.grad_norm,
            "block_grad_norm": math.sqrt(measures.block_square),
            "param_norm": measures.param_norm,
            "learning_rate": rate,
            "step_seconds": seconds,
            "images_per_second": measures.images / seconds,
            **{f"{part}_seconds": spent for part, spent in self._descent.watch.lap().items()},
        }
        if recipe.penalty:
            values["penalty_share"] = penalty_loss(measures, recipe, rate) / full if full else None
        if recipe.optimizer.weight_decay:
            values["decay_share"] = decay_loss(measures, recipe) / full if full else None
        if recipe.clip and recipe.clip.block_norm:
            values["clipped_blocks"] = measures.clipped_blocks
        self._emit(StepTaken(step, values))
        return measures

    def _batch(self, numbers: Tensor, step: int) -> Batch:
        dtype = next(self._model.parameters()).dtype
        return batch(self._data, self._recipe.data, numbers, self._recipe.seed, step, dtype)

    def _check(self, step: int, measures: Measures) -> None:
        wrong = measures.not_finite()
        if wrong:
            self._emit(NonFiniteFound(step, wrong))
            raise NonFiniteError(
                f"step {step} was not finite ({', '.join(wrong)}); the weights of step {self.step} are saved",
                "a lower learning rate, a longer warm-up or a smaller clip norm may help",
            )

    def _on_block(self, task: Task, step: int, done: int, total: int) -> None:
        self._emit(ProgressMade(task, step, done, total))
        self.control.at_block()


def is_by_block(gradient: Gradient, step: int) -> bool:
    """Whether step `step`, counted from 1, updates after every block."""
    switched = gradient.switch_at is not None and step >= gradient.switch_at
    return (gradient.update == "block") != switched


def choose_device(devices: str) -> torch.device:
    """The device meant by "auto", "cpu" or "cuda:N". Raises FbmonError if the machine has none such."""
    if devices == "cpu" or (devices == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    device = torch.device("cuda:0" if devices == "auto" else devices)
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise FbmonError(
            f"--devices {devices}: this machine has {torch.cuda.device_count()} CUDA devices",
            "try --devices cpu",
        )
    return device
