"""The networks of the paper: their sizes, and one full-batch step of each."""

import math

import pytest
import torch

from fbmon import recipe
from fbmon.errors import RecipeError
from fbmon.events import Event, StepTaken, Validated
from fbmon.recipe import DATA_SETS, Model
from fbmon.recipe.data_sets import image_form
from fbmon.train.data.data import DataSet, Samples
from fbmon.train.data.load import load
from fbmon.train.models import make_model
from fbmon.train.step import Stepper

# Parameters for 10 classes, from the paper's code by arithmetic.
SIZES = {
    "resnet18": 11_173_962,
    "resnet50": 23_520_842,
    "resnet152": 58_156_618,
    "densenet121": 6_956_298,
    "vgg16": 14_728_266,
}


@pytest.mark.parametrize(("name", "parameters"), SIZES.items())
def test_a_network_has_as_many_parameters_as_the_authors(name: str, parameters: int) -> None:
    model = make_model(Model.model_validate({"name": name}), image_form(3, 32, 10))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", [*SIZES, "resnet8", "resnet34", "resnet101"])
def test_one_full_batch_step_on_two_images_moves_every_parameter(name: str) -> None:
    wanted = recipe.load(
        recipe.find("quickstart"), [f"model.name={name}", "model.width=8", "schedule.warmup=0", "data.dataset=cifar10"]
    )
    torch.manual_seed(0)
    model = make_model(wanted.model, image_form(3, 32, 10))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    told: list[Event] = []
    stepper = Stepper(wanted, noise(2), model, told.append, lambda: None)
    stepper.take_step(stepper.plan_step(1))
    assert [event.values["accuracy"] is not None for event in told if isinstance(event, StepTaken)] == [True]
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, old)


@pytest.mark.parametrize("name", [*SIZES, "resnet8", "mlp"])
@pytest.mark.parametrize(("dataset", "channels", "side"), [("digits", 1, 8), ("cifar100", 3, 32)])
def test_the_narrowest_network_that_a_recipe_may_ask_for_can_be_built(
    name: str, dataset: str, channels: int, side: int
) -> None:
    source, settings = recipe.find("quickstart"), [f"model.name={name}", f"data.dataset={dataset}"]
    try:
        wanted = recipe.load(source, [*settings, "model.width=1"])
    except RecipeError:
        if (name, dataset) == ("vgg16", "digits"):
            return
        wanted = recipe.load(source, [*settings, "model.width=2"])
    model = make_model(wanted.model, image_form(channels, side, 10))
    assert model(torch.zeros(2, channels, side, side)).shape == (2, 10)


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_recipe_takes_a_step_on_a_few_images(name: str) -> None:
    """Its own method and network, of width 8, on two blocks."""
    whole = recipe.load(recipe.find(name))
    block = 2 * (1 if whole.data.copy_per_step else whole.data.copies or 1)
    wanted = recipe.load(recipe.find(name), [f"gradient.block={block}", "model.width=8"])
    data = (
        noise(4)
        if wanted.data.dataset != "digits"
        else load(
            wanted.data.model_copy(update={"limit": 4, "val_limit": 4}), None, torch.device("cpu"), lambda _: None
        )
    )
    torch.manual_seed(wanted.seed)
    model = make_model(wanted.model, data.form)
    told: list[Event] = []
    stepper = Stepper(wanted, data, model, told.append, lambda: None)
    stepper.take_step(stepper.plan_step(1))
    stepper.validate(1)
    taken = [event.values for event in told if isinstance(event, (StepTaken, Validated))]
    assert [math.isfinite(values.get("loss", values.get("val_loss")) or math.nan) for values in taken] == [True, True]
    assert (stepper.plan().blocks, stepper.plan().clip_norm) == (2, wanted.clip.norm if wanted.clip else None)


def noise(images: int) -> DataSet:
    """As many pictures of the size of CIFAR-10, all of noise."""
    made = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (images, 3, 32, 32), generator=made).to(torch.uint8)
    some = Samples(pictures, torch.arange(images) % 10)
    return DataSet(some, some, DATA_SETS["cifar10"])
