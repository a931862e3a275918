"""Runs as they lie on a disk, made from what they told, in a moment and without training."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fbmon import recipe as recipes
from fbmon.events import Event, GradientClipped, RunEnded, RunStarted, State, StepTaken, TrainingStarted, Validated
from fbmon.run import RunFolder
from fbmon.run.journal import seal

BEGAN = 1_750_000_000.0  # seconds since 1970
META = (
    b'{"name":"","created":"2026-01-01T12:00:00+00:00","host":"here","user":"me","command":["fbmon","run"],'
    b'"directory":"/","recipe_file":"/tiny.toml","devices":"cpu","data_dir":null,"versions":{"fbmon":"1"},"git":"abc"}'
)


def story(
    recipe: str = "small",
    accuracies: Sequence[float] = (0.5, 0.75),
    clipped: Sequence[int] = (),
    state: State | None = "finished",
    plan: TrainingStarted | None = None,
) -> list[Event]:
    """One step and one validation for each accuracy; step k ends 10 k seconds after the start, its loss is 1 / k."""
    steps = len(accuracies)
    plan = plan or TrainingStarted(steps, 2, 64, 32, 1000, "cpu", "float32", 0.25)
    told: list[Event] = [RunStarted("r", recipe, steps, "1", 7), plan]
    for step, accuracy in enumerate(accuracies, 1):
        told += [GradientClipped(step, 1.5, 0.25, elapsed=10.0 * step)] * (step in clipped)
        told.append(StepTaken(step, {"loss": 1 / step, "grad_norm": None, "step_seconds": 10.0}, elapsed=10.0 * step))
        told.append(Validated(step, {"val_accuracy": accuracy, "val_loss": 2 / step}, elapsed=10.0 * step))
    if state:
        code = {"finished": 0, "diverged": 3, "preempted": 75, "stopped": 130}.get(state, 1)
        told.append(RunEnded(state, code, steps, elapsed=10.0 * steps))
    return told


def lines(events: Sequence[Event]) -> bytes:
    """The journal that they would make."""
    sealed = []
    for seq, event in enumerate(events, 1):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        sealed.append(seal(type(event)(**fields | {"seq": seq, "time": BEGAN + event.elapsed})))
    return b"".join(sealed)


def write_run(
    runs_dir: Path, name: str, events: Sequence[Event], settings: Sequence[str] = (), recipe: str = "quickstart"
) -> RunFolder:
    """A run's folder with the recipe `recipe` changed by `settings`."""
    folder = RunFolder(runs_dir / name)
    folder.path.mkdir(parents=True)
    source = recipes.find(recipe)
    shutil.copy(source, folder.recipe)
    folder.resolved.write_text(recipes.dump(recipes.load(source, settings)))
    folder.meta.write_bytes(META)
    folder.journal.write_bytes(lines(events))
    return folder
