"""The real loop on random images in the shape of a data set, for timing."""

import resource
import sys
import time
from dataclasses import replace

import torch
from torch import Tensor

from fbmon.events import Event, StepTaken
from fbmon.recipe import Recipe
from fbmon.recipe.data_sets import DataSetFacts
from fbmon.train.data.data import DataSet, Samples
from fbmon.train.evaluate import evaluate
from fbmon.train.hardware.precision import autocast, set_precision_
from fbmon.train.hardware.threads import choose_threads_
from fbmon.train.models import make_model
from fbmon.train.ranks.distribute import ALONE
from fbmon.train.step import Stepper


class Probe:
    """The real loop of a recipe on random samples like those of its data set: `count` blocks of `block`."""

    def __init__(
        self,
        recipe: Recipe,
        facts: DataSetFacts,
        block: int,
        count: int,
        val_images: int,
        device: torch.device,
    ) -> None:
        # Copies only multiply the number of images.
        unlimited = {"copies": None, "copy_per_step": False, "limit": None, "val_limit": None}
        data = recipe.data.model_copy(update=unlimited)
        gradient = recipe.gradient.model_copy(update={"block": block})
        recipe = recipe.model_copy(update={"data": data, "gradient": gradient})
        torch.manual_seed(recipe.seed)
        self._data = random_data(facts, block * count, val_images, device)
        self._model = make_model(recipe.model, facts.form).to(device)
        set_precision_(self._model, recipe.precision)
        self._recipe = recipe
        self._device = device
        self._told: list[StepTaken] = []
        choose_threads_(recipe, self._model, self._data, ALONE)
        self._stepper = Stepper(recipe, self._data, self._model, self._note, lambda: None)
        self._images = block * count
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        self._stepper.take_step(self._stepper.plan_step(self._steps))

    def validate(self) -> None:
        with autocast(self._recipe.precision, self._device):
            evaluate(self._model, self._data, self._stepper.descent.network.objective)

    def seconds_per_image(self, steps: int) -> float:
        """Return the mean over `steps` steps after a first one, which warms up and sets the exact mean's unit.

        Where the optimizer searches it is that of a pass, of which a step makes several.
        """
        for _ in range(1 + steps):
            self.step()
        timed = [event.values["step_seconds"] or 0.0 for event in self._told[1:]]
        count = len(timed)
        if search := self._stepper.descent.search:
            count = max(1, search.passes - int(self._told[0].values["passes"] or 0))
        return sum(timed) / count / self._images

    def val_seconds_per_image(self) -> float:
        began = time.perf_counter()
        self.validate()
        return (time.perf_counter() - began) / len(self._data.val)

    def memory_mib(self) -> float:
        """Return the peak of the memory in use so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)

    def _note(self, event: Event) -> None:
        if isinstance(event, StepTaken):
            self._told.append(event)


def random_data(facts: DataSetFacts, train: int, val: int, device: torch.device) -> DataSet:
    form = facts.form

    def inputs(count: int) -> Tensor:
        match form.kind:
            case "images":
                return torch.randint(0, 256, (count, *form.shape), dtype=torch.uint8)
            case "numbers":
                return torch.randn(count, *form.shape)
            case "tokens":
                return torch.randint(0, form.vocabulary or 1, (count, *form.shape))

    def samples(count: int) -> Samples:
        made = inputs(count)
        targets = torch.randint(0, form.classes, (count, *form.target)) if form.classes else None
        return Samples(made, torch.randn(count, *form.target) if targets is None else targets)

    ones = (1.0,) * len(facts.mean)
    return DataSet(samples(train), samples(val), replace(facts, scale=255.0, mean=ones, std=ones)).on(device)
