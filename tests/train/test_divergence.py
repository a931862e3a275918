"""A run that diverges is named, and ends where the recipe says so; one that only stumbles is left in peace."""

import json
from pathlib import Path

import pytest

from fbmon import recipe
from fbmon.errors import DivergenceError
from fbmon.events import CheckpointSaved, DivergenceFound, Event, StepTaken
from fbmon.recipe import Divergence, Recipe
from fbmon.train.divergence import DivergenceWatch
from fbmon.train.loop import train
from tests import trace

GOLDEN = Path(__file__).parents[1] / "golden"


def watched(losses: list[float], wanted: Divergence) -> list[Event]:
    events: list[Event] = []
    watch = DivergenceWatch(wanted, events.append)
    for step, loss in enumerate(losses, 1):
        watch.step(step, loss)
    return events


def test_only_a_loss_that_stays_far_above_its_start_is_a_divergence_and_each_stretch_is_told_once() -> None:
    wanted = Divergence(factor=4.0, steps=3)
    assert watched([2.0, 9.0, 9.0, 8.0, 9.0, 9.0], wanted) == []
    told = watched([2.0, 9.0, 9.0, 9.5, 9.0, 9.0, 1.0, 9.0, 9.0, 50.0], wanted)
    assert told == [DivergenceFound(4, 9.5, 2.0, 3), DivergenceFound(10, 50.0, 2.0, 3)]


def test_neither_the_authors_trajectories_nor_the_published_run_with_its_spike_raise_an_alarm() -> None:
    known = [json.loads(path.read_text())["stats"]["train_loss"] for path in sorted(GOLDEN.glob("*.json"))]
    published = [event.values["loss"] or 0.0 for event in trace.events() if isinstance(event, StepTaken)]
    assert len(known) == 7
    assert len(published) == 3000
    for losses in [*known, published]:
        assert watched(losses, Divergence(stop=True)) == []
    assert watched(published, Divergence(factor=1.01, steps=1, stop=True)) == []  # its loss is never above its start


@pytest.fixture
def absurd(tiny: Path) -> Recipe:
    """Its learning rate takes the loss from 2 into the thousands within some steps, all of them finite."""
    settings = {
        "steps": 12, "data.limit": 32, "data.val_limit": 8, "schedule.warmup": 0, "clip.norm": 1e9,
        "optimizer.lr": 100.0, "optimizer.momentum": 0.0, "validation.every": 100, "divergence.steps": 4,
    }  # fmt: skip
    return recipe.load(tiny, [f"{key}={value}" for key, value in settings.items()])


def test_a_run_that_diverges_tells_it_and_goes_on_if_it_may(absurd: Recipe, tmp_path: Path) -> None:
    events: list[Event] = []
    assert train(absurd, "cpu", None, tmp_path / "checkpoints", events.append, lambda: None) == "finished"
    losses = {event.step: event.values["loss"] for event in events if isinstance(event, StepTaken)}
    (found,) = (event for event in events if isinstance(event, DivergenceFound))
    assert found == DivergenceFound(5, losses[5] or 0.0, losses[1] or 0.0, 4)


def test_a_run_that_is_to_stop_by_it_saves_and_stops_at_the_same_step_when_it_was_resumed_on_the_way(
    absurd: Recipe, tmp_path: Path
) -> None:
    stopping = absurd.model_copy(update={"divergence": Divergence(stop=True, steps=4)})
    for name, on_the_way in (("whole", None), ("parts", 3)):
        events: list[Event] = []
        if on_the_way:
            first = stopping.model_copy(update={"steps": on_the_way})
            assert train(first, "cpu", None, tmp_path / name, events.append, lambda: None) == "finished"
        with pytest.raises(DivergenceError) as raised:
            train(stopping, "cpu", None, tmp_path / name, events.append, lambda: None, resume=bool(on_the_way))
        assert raised.value.exit_code == 3
        found = next(event for event in events if isinstance(event, DivergenceFound))
        assert raised.value.message == (
            f"the loss has been above 4 times that of the first step ({found.start_loss:.4g}) for 4 steps: "
            f"{found.loss:.4g} at step 5; the weights of step 5 are saved"
        )
        assert isinstance(events[-1], CheckpointSaved)
        assert events[-1].step == 5
