"""Steps of a run taken once more from a checkpoint, beside what its journal says of them."""

from collections.abc import Iterator

import torch

from fbmon import recipe as recipes
from fbmon.analysis.verdict import Repeated
from fbmon.analysis.worker.weights import bare
from fbmon.events import Event, Machine, StepTaken, TrainingStarted
from fbmon.run import RunFolder, checkpoint
from fbmon.run.checkpoints import path_of, steps
from fbmon.run.journal import Tail
from fbmon.train.checkpoint.tensors import Learnt
from fbmon.train.step import Stepper

_NAMES = ("loss", "grad_norm", "block_grad_norm", "accuracy", "param_norm")


def repeat(folder: RunFolder, since: int, count: int, device: str) -> tuple[Repeated, ...]:
    """Take `count` steps after `since` again, with as many threads as the run had."""
    told = {event.step: event for event in Tail(folder.journal).read() if isinstance(event, StepTaken)}
    found: list[Event] = []
    stepper = _stepper(folder, since, device, found)
    for step in range(since + 1, since + count + 1):
        stepper.take_step(step)
    return tuple(_compare(told, found))


def trained_on(folder: RunFolder, since: int) -> Machine | None:
    """The machine that took the step after `since`, the last time that it was taken; None where it is not told."""
    machine = trained = None
    for event in Tail(folder.journal).read():
        if isinstance(event, TrainingStarted):
            machine = event.machine
        elif isinstance(event, StepTaken) and event.step == since + 1:
            trained = machine
    return trained


def _stepper(folder: RunFolder, since: int, device: str, found: list[Event]) -> Stepper:
    recipe = recipes.load(folder.resolved)
    model, data = bare(folder, recipe, device)
    stepper = Stepper(recipe, data, model, found.append, lambda: None)
    kept = since or max(steps(folder.checkpoints), default=0)
    if kept:
        state, content = checkpoint.read(path_of(folder.checkpoints, kept), folder.first_name())
        torch.set_num_threads(state.threads)  # another number of them has other last bits
        if since:
            Learnt(model, stepper.average, stepper.descent).load_(content)
    return stepper


def _compare(told: dict[int, StepTaken], found: list[Event]) -> Iterator[Repeated]:
    for event in found:
        if isinstance(event, StepTaken):
            before = told[event.step].values if event.step in told else {}  # a line that is damaged agrees with nothing
            for name in _NAMES:
                yield Repeated(event.step, name, before.get(name), event.values[name])
