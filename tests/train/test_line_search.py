"""Line searches: every look is a counted pass of one fixed loss, and the accepted one begins the next step."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fbmon import recipe as recipes
from fbmon.errors import RecipeError, UsageError
from fbmon.events import Event, ProgressMade, StepTaken
from fbmon.recipe import GradientDescent, Recipe
from fbmon.train.control import Emit
from fbmon.train.data.load import load
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.line_search import Backtracking
from fbmon.train.loop import train
from fbmon.train.models import make_model
from fbmon.train.step import Stepper

TABLE = """
name = "search"
steps = 12
precision = "float64"
data = {dataset = "digits", limit = 48, val_limit = 16}
model = {name = "resnet8", width = 4}
gradient = {block = 16}
schedule = {name = "constant"}
"""


def searching(folder: Path, optimizer: str, *others: str) -> Recipe:
    path = folder / "search.toml"
    path.write_text("\n".join([TABLE, f"optimizer = {optimizer}", *others]))
    return recipes.load(path)


def stepper_of(recipe: Recipe, emit: Emit) -> Stepper:
    data = load(recipe.data, None, torch.device("cpu"), lambda _: None)
    torch.manual_seed(0)
    model = make_model(recipe.model, data.form)
    set_precision_(model, recipe.precision)
    return Stepper(recipe, data, model, emit, lambda: None)


@pytest.mark.parametrize("name", ["gd", "lbfgs"])
def test_every_pass_over_the_data_is_counted_once_and_the_loss_falls(name: str, tmp_path: Path) -> None:
    first = "lr = 8.0, " if name == "gd" else ""  # too long, so that some looks are refused
    recipe = searching(tmp_path, f'{{name = "{name}", {first}weight_decay = 0.1, decay_on = "weights"}}')
    events: list[Event] = []
    train(recipe, "cpu", None, tmp_path / "checkpoints", events.append, lambda: None)
    steps = [event.values for event in events if isinstance(event, StepTaken)]
    repeated = sum(type(event).__name__ == "PassRepeated" for event in events)
    begun = sum(isinstance(event, ProgressMade) and event.task == "training" and event.done == 0 for event in events)
    assert steps[-1]["passes"] == begun - repeated > recipe.steps + 2
    losses = [step["full_loss"] or 0.0 for step in steps]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", ["gd", "lbfgs"])
def test_a_step_keeps_what_a_pass_at_its_weights_sees_and_no_statistics_of_refused_looks(
    name: str, tmp_path: Path
) -> None:
    events: list[Event] = []
    first = "lr = 8.0, " if name == "gd" else ""
    recipe = searching(tmp_path, f'{{name = "{name}", {first}weight_decay = 0.1, decay_on = "weights"}}')
    stepper = stepper_of(recipe, events.append)
    buffers = list(stepper.model.buffers())
    stepper.take_step(stepper.plan_step(1))
    seen = None
    for number in range(2, 6):
        step = stepper.plan_step(number)
        before = [buffer.clone() for buffer in buffers]
        measures = stepper.take_step(step)
        assert seen is None or measures == seen
        after = [buffer.clone() for buffer in buffers]
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        _, seen = stepper.descent.gradient(step.updates()[0])
        assert all(map(torch.equal, buffers, after))
    passes = [event.values["passes"] or 0 for event in events if isinstance(event, StepTaken)]
    assert passes[-1] > len(passes) + 1, "no look was refused"


def test_backtracking_ends_where_armijo_is_content_and_begins_there_the_next_time() -> None:
    """On ½·10·x² from 1: 0.4 climbs, 0.2 leads to x = -1 with no fall, 0.1 to the minimum."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    section = GradientDescent(name="gd", lr=0.4, grow=2.0)
    optimizer, seen = Backtracking([weight], section), []

    def closure() -> float:
        weight.grad = 10 * weight.detach()
        seen.append(round(weight.item(), 6))
        return 5 * weight.item() ** 2

    optimizer.step(closure)
    assert seen == [1.0, -3.0, -1.0, 0.0]
    assert optimizer.state[weight] == {"t": 0.1, "next_rate": 0.2}


def test_a_search_that_fails_leaves_the_weights_and_tries_shorter_steps_the_next_time() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = Backtracking([weight], GradientDescent(name="gd", lr=1.0, trials=3))

    def closure() -> float:
        weight.grad = torch.ones(1)
        return 0.0 if weight.item() == 1 else float("nan")

    optimizer.step(closure)
    assert weight.item() == 1
    assert optimizer.state[weight] == {"t": 0.0, "next_rate": 0.125}


@pytest.mark.parametrize("name", ["gd", "lbfgs"])
def test_a_recipe_whose_loss_is_another_at_each_look_is_refused_at_the_optimizers_line(
    name: str, tmp_path: Path
) -> None:
    others = ('[clip]\nnorm = 1.0\n[data]\naugment = "shift"\n[gradient]\norder = "shuffled"\n'
              '[schedule]\nwarmup = 2\n[penalty]\nstrength = 0.5\n[optimizer]\nname = "{}"')  # fmt: skip
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "quickstart"\nname = "mine"\n{others.format(name)}\n')
    with pytest.raises(RecipeError) as raised:
        recipes.load(path)
    assert raised.value.message == (
        f"{path}:14: optimizer.name {name} searches for its steps on one and the same loss, by its own gradient, so "
        'goes without data.augment (without data.copies), gradient.order = "shuffled", schedule.name = cosine, '
        "schedule.warmup, clip, penalty"
    )


def test_a_network_that_is_random_at_each_step_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net(): return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))\n"
    )  # fmt: skip
    recipe = searching(tmp_path, '{name = "lbfgs"}')
    path = tmp_path / "search.toml"
    path.write_text(path.read_text().replace('{name = "resnet8", width = 4}', '{name = "net.py:net"}'))
    recipe = recipes.load(path)
    with pytest.raises(UsageError) as raised:
        train(recipe, "cpu", None, tmp_path / "checkpoints", lambda _: None, lambda: None)
    assert raised.value.message == (
        'optimizer.name = "lbfgs": searches for its steps on one and the same loss, but this network is random at each '
        "step (Dropout)"
    )
