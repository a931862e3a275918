"""The run, first step to last.

prepare     device, data, model, optimizer
each step   gradient over all blocks -> norm and clipping -> one look from the host -> update -> tell
sometimes   validate; a stop is looked for at every block
at the end  save
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fbmon.errors import FbmonError, NonFiniteError
from fbmon.events import (
    CheckpointSaved,
    CommandTaken,
    Event,
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
from fbmon.train.augment import augment
from fbmon.train.average import Average
from fbmon.train.clip import clip_
from fbmon.train.data import DataSet, blocks, load
from fbmon.train.evaluate import evaluate
from fbmon.train.gradient import Batch, full_gradient
from fbmon.train.loss import smoothed_cross_entropy
from fbmon.train.mean import Mean, PlainMean, make_mean
from fbmon.train.measure import Measures, combine, full_loss, look, weight_norm
from fbmon.train.models import make_model
from fbmon.train.optimize import make_optimizer
from fbmon.train.snapshot import Snapshot

Emit = Callable[[Event], None]
NextCommand = Callable[[], CommandTaken | None]


class Interrupted(Exception):  # noqa: N818 - a wish, not an error
    """The user wants the run to end here."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


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
    optimizer = make_optimizer(model, recipe.optimizer)
    cut = blocks(len(data.train), recipe.gradient, recipe.seed, 1, device)
    mean = make_mean(recipe.gradient.accumulation, list(model.parameters()), len(cut))
    emit(_plan(recipe, data, cut, model, device))
    emit(PhaseEntered("training"))
    loop = Loop(recipe, data, model, optimizer, mean, Average(model, recipe.ema), emit, next_command)
    state: State = "finished"
    try:
        for step in range(1, recipe.steps + 1):
            loop.take_step(step)
            if (step - 1) % recipe.validation.every == 0 or step == recipe.steps:
                loop.validate(step)
    except Interrupted as interrupted:
        state = interrupted.state
    except NonFiniteError:
        loop.save(checkpoints)  # the last finite weights
        raise
    loop.save(checkpoints)
    return state


@dataclass
class Loop:
    """What the steps share; `step` is the number of updates that the weights have behind them."""

    recipe: Recipe
    data: DataSet
    model: nn.Module
    optimizer: torch.optim.Optimizer
    mean: Mean
    average: Average
    emit: Emit
    next_command: NextCommand
    step: int = 0

    def take_step(self, step: int) -> None:
        """Update the weights: once, or once per block.

        Raises Interrupted or NonFiniteError, the state then being that before the step.
        """
        began = time.perf_counter()
        rate = learning_rate(step - 1, self.recipe.schedule, self.recipe.optimizer.lr)
        device = self.data.train.labels.device
        numbers = blocks(len(self.data.train), self.recipe.gradient, self.recipe.seed, step, device)
        by_block = is_by_block(self.recipe.gradient, step)
        before = Snapshot(self.model, self.optimizer, whole=by_block)
        updates = [[some] for some in numbers] if by_block else [numbers]
        try:
            told = [self._update(step, some, place, len(numbers), rate, before) for place, some in enumerate(updates)]
        except (Interrupted, NonFiniteError):
            before.restore_()
            raise
        self.step = step
        self._tell(step, told, rate, time.perf_counter() - began)

    def validate(self, step: int) -> None:
        """Tell the loss and accuracy over the validation images."""
        averaged = self.average.model
        values = evaluate(averaged, self.data, lambda done, total: self._on_block("validating", step, done, total))
        self.emit(Validated(step, values))

    def save(self, checkpoints: Path) -> None:
        """Write a checkpoint of the present state."""
        saved = checkpoint.save(checkpoints, self.model, self.optimizer, self.step)
        self.emit(CheckpointSaved(self.step, f"{checkpoints.name}/{saved.name}"))

    def _update(
        self, step: int, numbers: list[Tensor], place: int, places: int, rate: float, before: Snapshot
    ) -> Measures:
        """One update by the mean over the blocks `numbers`; the first is block `place` of the `places` of the step."""
        # The mean of one gradient is that gradient, and never asks for another pass.
        mean = self.mean if len(numbers) > 1 else PlainMean(list(self.model.parameters()))

        def one_pass() -> tuple[list[Tensor], Measures]:
            full = full_gradient(
                self.model,
                numbers,
                lambda some: self._batch(some, step),
                lambda logits, labels: smoothed_cross_entropy(logits, labels, self.recipe.loss.label_smoothing),
                self.recipe.penalty,
                rate,
                mean,
                lambda k: self._on_block("training", step, place + k, places),
            )
            norm = clip_(full.gradient, self.recipe.clip)
            return full.gradient, look(self.model, full, norm)

        gradient, measures = one_pass()
        if not measures.is_good:
            before.restore_()
            mean.adapt()
            self.emit(PassRepeated(step))
            gradient, measures = one_pass()
        self._check(step, measures)
        for parameter, part in zip(self.model.parameters(), gradient, strict=True):
            parameter.grad = part
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.average.follow()
        return measures

    def _tell(self, step: int, told: list[Measures], rate: float, seconds: float) -> None:
        measures = combine(told)
        if is_by_block(self.recipe.gradient, step):  # the weights that the pass has led to
            measures = replace(measures, param_norm=float(weight_norm(self.model)))
        longest = max(update.grad_norm for update in told)
        if self.recipe.clip and longest > self.recipe.clip.norm:
            self.emit(GradientClipped(step, longest, self.recipe.clip.norm))
        values: dict[str, float | None] = {
            "loss": measures.loss,
            "full_loss": full_loss(measures, self.recipe, rate),
            "accuracy": measures.accuracy,
            "grad_norm": measures.grad_norm,
            "block_grad_norm": math.sqrt(measures.block_square),
            "param_norm": measures.param_norm,
            "learning_rate": rate,
            "step_seconds": seconds,
            "images_per_second": measures.images / seconds,
        }
        self.emit(StepTaken(step, values))

    def _batch(self, numbers: Tensor, step: int) -> Batch:
        pictures = self.data.train.pictures[numbers]
        moved = augment(pictures, numbers, self.recipe.data.augment, self.recipe.seed, step)
        dtype = next(self.model.parameters()).dtype
        return self.data.normalize(moved, dtype), self.data.train.labels[numbers]

    def _check(self, step: int, measures: Measures) -> None:
        wrong = measures.not_finite()
        if wrong:
            self.emit(NonFiniteFound(step, wrong))
            raise NonFiniteError(
                f"step {step} was not finite ({', '.join(wrong)}); the weights of step {self.step} are saved",
                "a lower learning rate, a longer warm-up or a smaller clip norm may help",
            )

    def _on_block(self, task: Task, step: int, done: int, total: int) -> None:
        self.emit(ProgressMade(task, step, done, total))
        command = self.next_command()
        if command:
            self.emit(command)
            raise Interrupted("preempted" if command.command == "preempt" else "stopped")


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


def _plan(recipe: Recipe, data: DataSet, cut: list[Tensor], model: nn.Module, device: torch.device) -> TrainingStarted:
    threads = torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads} CPU thread{'s'[: threads > 1]}"
    return TrainingStarted(
        steps=recipe.steps,
        blocks=len(cut),
        images=sum(len(numbers) for numbers in cut),
        val_images=len(data.val),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        device=f"{device} ({name})" if device.type == "cuda" else name,
        precision="float32",
        clip_norm=recipe.clip.norm if recipe.clip else None,
        target_val_accuracy=recipe.target.val_accuracy if recipe.target else None,
        target_source=recipe.target.source if recipe.target else "",
    )
