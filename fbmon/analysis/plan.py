"""The cost of a recipe on this machine, counted and measured by a process of its own, as torch is heavy."""

import math
import os
from collections.abc import Callable, Sequence

import msgspec

from fbmon.errors import FbmonError
from fbmon.host.scratch import with_what_torch_needs
from fbmon.host.worker_process import WorkerProcess
from fbmon.ranks.devices import FOR_CUDA
from fbmon.recipe import Recipe

_MODULE = "fbmon.analysis.worker.cost"


class Timing(msgspec.Struct, frozen=True):
    """The result of a short measurement in one precision."""

    precision: str
    block: int  # images in the blocks that were measured: fewer than the recipe's where those would take too long
    blocks: int  # that were timed
    seconds_per_image: float
    val_seconds_per_image: float
    memory_mib: float  # at the peak: on a GPU what torch held, on a CPU the whole process


class Plan(msgspec.Struct, frozen=True):
    """A recipe's size, and its timings on one device, the first in the recipe's own precision."""

    recipe: str
    steps: int
    blocks: int  # per step
    images: int  # per step
    block: int
    val_images: int
    validations: int
    parameters: int
    flop_per_image: float  # of a step, penalty included: multiplications and additions of convolutions and products
    val_flop_per_image: float
    data_mib: float  # of the data set on the device
    device: str
    timings: tuple[Timing, ...]
    products: int = 0  # of Hessian and vector, at most, that the analysis of the sharpness takes in all
    product_images: int = 0  # in each
    product_flop_per_image: float = 0.0
    memory_total_mib: float = 0.0  # what may be used on the device; 0: unknown
    emulation: str = ""  # what is to be said of a device without instructions for the recipe's precision
    trials: int = 0  # at most, that a step makes where the optimizer searches for it, each a pass over its images
    skipped: tuple[str, ...] = ()  # why other precisions were not measured

    @property
    def step_flop(self) -> float:
        """The FLOP of one step, of one pass where the optimizer searches, without validation."""
        return self.flop_per_image * self.images

    @property
    def flop(self) -> float:
        """The FLOP of the whole run, at least where the optimizer searches: with one pass a step."""
        validation = self.validations * self.val_images * self.val_flop_per_image
        return self.steps * self.step_flop + validation + self.analysis_flop

    @property
    def analysis_flop(self) -> float:
        """The FLOP of all measurements of the sharpness, at most."""
        return self.products * self.product_images * self.product_flop_per_image

    def analysis_passes(self) -> float:
        """Return the cost of all sharpness measurements, at most, in passes of a step over its images."""
        return self.analysis_flop / self.step_flop

    def seconds_per_step(self) -> float:
        """Return the seconds of a step, of one pass where the optimizer searches, in the recipe's own precision."""
        return self.images * self.timings[0].seconds_per_image

    def seconds(self, timing: Timing | None = None, devices: int = 1) -> float:
        """Return the seconds of the run if `devices` devices shared the blocks of a step and exchanged for free.

        Where the optimizer searches these are the least, with one pass a step.
        """
        timing = timing or self.timings[0]
        share = math.ceil(self.blocks / devices) / self.blocks
        step = self.images * timing.seconds_per_image * share
        # A product is taken to go at the pace of a step: it is made of the same operations.
        return (
            self.steps + self.analysis_passes()
        ) * step + self.validations * self.val_images * timing.val_seconds_per_image


def measure(
    recipe: Recipe,
    devices: str = "auto",
    precisions: Sequence[str] = (),
    seconds: float = 10.0,
    begin: Callable[[str], None] = lambda precision: None,
) -> Plan:
    """Return the plan of a recipe, measured in its own precision and in `precisions`, each for about `seconds`.

    `begin` is called with each further one of the `precisions` when its turn comes.

    Each takes a process of its own, so that none is charged for another's memory, and the seconds that torch needs to
    load. A further precision that fails, or that the device emulates, is left out; the plan's `skipped` says why.
    Raises FbmonError if the recipe itself cannot be measured, for instance because memory runs out.
    """
    try:
        plan = _measure_one(recipe, devices, recipe.precision, seconds)
    except FbmonError as error:
        raise FbmonError(f"{recipe.name} could not be measured: {error.message}") from None
    timings, skipped = list(plan.timings), []
    for precision in precisions:
        if precision != recipe.precision:
            begin(precision)
            try:
                timings += _measure_one(recipe, devices, precision, seconds, "--native").timings
            except FbmonError as error:
                named = error.message if error.message.startswith(precision) else f"{precision}: {error.message}"
                skipped.append(f"{named}: not measured")
    return msgspec.structs.replace(plan, timings=tuple(timings), skipped=tuple(skipped))


def _measure_one(recipe: Recipe, devices: str, precision: str, seconds: float, *options: str) -> Plan:
    arguments = [precision, "--devices", devices, "--seconds", str(seconds), *options]
    environment = FOR_CUDA | with_what_torch_needs(os.environ)
    for key, section in recipe.code.items():
        if section.reference and section.reference.is_file:
            arguments += ["--code", key, str(section.folder.absolute())]
    question = recipe.model_dump_json().encode()
    with WorkerProcess(_MODULE, *arguments, environment=environment, question=question) as process:
        return msgspec.json.decode(process.answer(), type=Plan)
