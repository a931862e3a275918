"""Steps of a run taken once more from a checkpoint, beside the numbers in its journal."""

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
    """Take the `count` steps after `since` again, with as many threads as the run had."""
    journaled = {event.step: event for event in Tail(folder.journal).read() if isinstance(event, StepTaken)}
    events: list[Event] = []
    stepper = _stepper(folder, since, device, events)
    for step in range(since + 1, since + count + 1):
        stepper.take_step(stepper.plan_step(step))
    return tuple(_compare(journaled, events))


def trained_on(folder: RunFolder, since: int) -> Machine | None:
    """Return the machine that last took the step after `since`; None if the journal does not say."""
    machine = trained = None
    for event in Tail(folder.journal).read():
        if isinstance(event, TrainingStarted):
            machine = event.machine
        elif isinstance(event, StepTaken) and event.step == since + 1:
            trained = machine
    return trained


def _stepper(folder: RunFolder, since: int, device: str, events: list[Event]) -> Stepper:
    recipe = recipes.load(folder.resolved)
    model, data = bare(folder, recipe, device)
    stepper = Stepper(recipe, data, model, events.append, lambda: None)
    kept = since or max(steps(folder.checkpoints), default=0)
    if kept:
        state, content = checkpoint.read(path_of(folder.checkpoints, kept), folder.first_name())
        torch.set_num_threads(state.threads)  # with another number of threads the last bits differ
        if since:
            Learnt(model, stepper.average, stepper.descent).load_(content)
    return stepper


def _compare(journaled: dict[int, StepTaken], events: list[Event]) -> Iterator[Repeated]:
    for event in events:
        if isinstance(event, StepTaken):
            # A damaged line of the journal agrees with nothing.
            before = journaled[event.step].values if event.step in journaled else {}
            for name in _NAMES:
                yield Repeated(event.step, name, before.get(name), event.values[name])
