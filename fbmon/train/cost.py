"""Counts and measures what a recipe costs, on random images of the shape of its own, and prints a Plan as JSON.

A few steps of the real loop are taken: under torch's operation counter, on four images; and with a clock, on a few
blocks. No data set is needed. The recipe comes as JSON on standard input.
"""

import argparse
import resource
import sys
import time
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec
import torch
from torch.utils.flop_counter import FlopCounterMode

from fbmon.errors import FbmonError
from fbmon.events import Event, StepTaken
from fbmon.plan import Plan, Timing
from fbmon.recipe import Data, Recipe
from fbmon.train.blocks import blocks
from fbmon.train.data import DataSet, Images
from fbmon.train.device import choose_device
from fbmon.train.evaluate import evaluate
from fbmon.train.models import make_model
from fbmon.train.precision import Precision, autocast, set_precision_
from fbmon.train.step import Stepper

_PROBE = 16  # images whose time says how many can be afforded
_VAL_PROBE = 500


@dataclass(frozen=True)
class _Shape:
    """What a data set looks like."""

    train: int
    val: int
    channels: int
    side: int
    classes: int


_SHAPES: dict[str, _Shape] = {
    "digits": _Shape(1437, 360, 1, 8, 10),
    "cifar10": _Shape(50_000, 10_000, 3, 32, 10),
    "cifar100": _Shape(50_000, 10_000, 3, 32, 100),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="fbmon.train.cost")
    parser.add_argument("precision", choices=get_args(Precision))
    parser.add_argument("--devices", default="auto")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    recipe = Recipe.model_validate_json(sys.stdin.read())
    try:
        plan = make_plan(recipe, arguments.devices, arguments.precision, arguments.seconds)
    except (FbmonError, RuntimeError) as error:  # torch's out of memory is a RuntimeError
        sys.exit(str(error).splitlines()[0])
    sys.stdout.write(msgspec.json.encode(plan).decode() + "\n")


def make_plan(recipe: Recipe, devices: str, precision: Precision, seconds: float) -> Plan:
    """The plan of a recipe, measured in one precision. Raises FbmonError for no such device."""
    shape = _SHAPES[recipe.data.dataset]
    device = choose_device(devices)
    train, val = _first(shape.train, recipe.data.limit), _first(shape.val, recipe.data.val_limit)
    cut = blocks(train, recipe.data, recipe.gradient, recipe.seed, 1, torch.device("cpu"))
    taken = range(1, recipe.steps + 1)
    flop, val_flop, parameters = _count(recipe)
    threads = torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads} CPU thread{'s'[: threads > 1]}"
    return Plan(
        recipe=recipe.name,
        steps=recipe.steps,
        blocks=len(cut),
        images=sum(map(len, cut)),
        block=max(map(len, cut)),
        val_images=val,
        validations=sum((step - 1) % recipe.validation.every == 0 or step == recipe.steps for step in taken),
        parameters=parameters,
        flop_per_image=flop,
        val_flop_per_image=val_flop,
        data_mib=(train + val) * shape.channels * shape.side**2 / 2**20,
        device=name,
        timings=(_time(recipe, precision, device, max(map(len, cut)), seconds),),
    )


def _first(images: int, limit: int | None) -> int:
    return images if limit is None else min(images, limit)


def _count(recipe: Recipe) -> tuple[float, float, int]:
    """FLOP of an image in a step and in a validation, and the number of parameters; two blocks of two images."""
    # This mean never asks for another pass, which would be counted too.
    loop = _Probe(recipe, 2, 2, 2, torch.device("cpu"), accumulation="fp32")
    with FlopCounterMode(display=False) as counter:
        loop.step()
    with FlopCounterMode(display=False) as val_counter:
        loop.validate()
    return counter.get_total_flops() / 4, val_counter.get_total_flops() / 2, loop.parameters


def _time(recipe: Recipe, precision: Precision, device: torch.device, block: int, seconds: float) -> Timing:
    """Blocks of the recipe's own size, as many as the time allows; smaller ones where not even three do."""
    recipe = recipe.model_copy(update={"precision": precision})
    probe = min(_PROBE, block)
    guess = _Probe(recipe, probe, 1, 1, device).seconds_per_image(1)
    affordable = int(seconds / max(guess, 1e-9) / 4)  # images; a first step and two timed ones, the first perhaps twice
    measured = block if affordable >= block else probe
    count = max(1, min(affordable // measured, 32))
    timed = _Probe(recipe, measured, count, _VAL_PROBE if affordable > _VAL_PROBE else probe, device)
    per_image = timed.seconds_per_image(2)
    return Timing(precision, measured, 2 * count, per_image, timed.val_seconds_per_image(), timed.memory_mib())


class _Probe:
    """The real loop of a recipe on random images: `count` blocks of `block`."""

    def __init__(
        self,
        recipe: Recipe,
        block: int,
        count: int,
        val_images: int,
        device: torch.device,
        accumulation: Literal["exact", "fp32", "legacy"] | None = None,
    ) -> None:
        shape = _SHAPES[recipe.data.dataset]
        # Copies only multiply the number of images.
        data = Data(dataset=recipe.data.dataset, augment=recipe.data.augment)
        gradient = recipe.gradient.model_copy(
            update={"block": block, "accumulation": accumulation or recipe.gradient.accumulation}
        )
        recipe = recipe.model_copy(update={"data": data, "gradient": gradient})
        torch.manual_seed(recipe.seed)
        self._data = _random(shape, block * count, val_images, device)
        self._model = make_model(recipe.model, shape.channels, shape.classes).to(device)
        set_precision_(self._model, recipe.precision)
        self._precision = recipe.precision
        self._device = device
        self._told: list[StepTaken] = []
        self._stepper = Stepper(recipe, self._data, self._model, self._note, lambda: None)
        self._images = block * count
        self._steps = 0

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self._model.parameters())

    def step(self) -> None:
        self._steps += 1
        self._stepper.take_step(self._steps)

    def validate(self) -> None:
        with autocast(self._precision, self._device):
            evaluate(self._model, self._data, lambda _done, _total: None)

    def seconds_per_image(self, steps: int) -> float:
        """The mean over some steps after a first one, which warms up and sets the exact mean's unit."""
        for _ in range(1 + steps):
            self.step()
        timed = [told.values["step_seconds"] or 0.0 for told in self._told[1:]]
        return sum(timed) / len(timed) / self._images

    def val_seconds_per_image(self) -> float:
        began = time.perf_counter()
        self.validate()
        return (time.perf_counter() - began) / len(self._data.val)

    def memory_mib(self) -> float:
        """At the peak until now."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)

    def _note(self, event: Event) -> None:
        if isinstance(event, StepTaken):
            self._told.append(event)


def _random(shape: _Shape, train: int, val: int, device: torch.device) -> DataSet:
    def images(count: int) -> Images:
        size = (count, shape.channels, shape.side, shape.side)
        pictures = torch.randint(0, 256, size, dtype=torch.uint8)
        return Images(pictures, torch.randint(0, shape.classes, (count,))).to(device)

    ones = (1.0,) * shape.channels
    return DataSet(images(train), images(val), shape.classes, 255.0, ones, ones)


if __name__ == "__main__":
    main()
