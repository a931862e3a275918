"""The process that counts and measures the cost of a recipe, on random images of its shape; prints a Plan as JSON.

It times a few steps of the real loop on a few blocks. No data set is needed. The recipe comes as JSON on standard
input.
"""

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import get_args

import msgspec
import torch

from fbmon.analysis.plan import Plan, Timing
from fbmon.analysis.worker.probe import Probe
from fbmon.errors import FbmonError
from fbmon.host.limits import memory
from fbmon.recipe import Data, LineSearch, Recipe
from fbmon.recipe.data_sets import DataSetFacts
from fbmon.train.data.blocks import blocks
from fbmon.train.data.own import facts_of
from fbmon.train.evaluate import is_validated
from fbmon.train.flop import count_forward, count_product, count_step
from fbmon.train.hardware.device import choose_device
from fbmon.train.hardware.memory import room
from fbmon.train.hardware.precision import Precision, emulation
from fbmon.train.hardware.process import set_up
from fbmon.train.models import make_model
from fbmon.train.objective.regularize import make_regularizer

_PROBE = 16  # images, timed to see how many can be afforded
_FEW = 2  # images, timed first, as `_PROBE` of them could take minutes
_VAL_PROBE = 500
_BYTES = {"images": 1, "numbers": 4, "tokens": 8}  # of a number in memory, at most
_PATIENCE = 3.0  # times the requested seconds, plus some more to begin with: no measurement takes longer
_MORE_SECONDS, _MORE_SECONDS_OF_OWN = 10.0, 60.0  # the recipe's own precision is needed for the plan


def main() -> None:
    parser = argparse.ArgumentParser(prog="fbmon.analysis.worker.cost")
    parser.add_argument("precision", choices=get_args(Precision))
    parser.add_argument("--devices", default="auto")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--code", nargs=2, action="append", default=[], metavar=("KEY", "FOLDER"))
    parser.add_argument("--native", action="store_true", help="give up a precision that the device emulates")
    arguments = parser.parse_args()
    recipe = Recipe.model_validate_json(sys.stdin.read())
    for key, folder in arguments.code:
        recipe.code[key].locate_(Path(folder))
    set_up()
    try:
        device = choose_device(arguments.devices)
        reason = emulation(arguments.precision, device)
        if arguments.native and reason:
            sys.exit(reason)
        more = _MORE_SECONDS if arguments.native or reason else _MORE_SECONDS_OF_OWN
        _leave_after(more + _PATIENCE * arguments.seconds, reason or "blocks take too long", arguments.seconds)
        plan = make_plan(recipe, device, arguments.precision, arguments.seconds)
    except (FbmonError, RuntimeError) as error:  # torch's out of memory is a RuntimeError
        sys.exit(str(error).splitlines()[0])
    sys.stdout.write(msgspec.json.encode(plan).decode() + "\n")


def _leave_after(limit: float, reason: str, seconds: float) -> None:
    """End this process after `limit` seconds, whatever it is doing: an operation cannot be interrupted."""

    def leave() -> None:
        print(f"{reason}: not done in {limit:.0f} s, --seconds {10 * seconds:g} allows for more", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)

    timer = threading.Timer(limit, leave)
    timer.daemon = True
    timer.start()


def make_plan(recipe: Recipe, device: torch.device, precision: Precision, seconds: float) -> Plan:
    """Return the plan of a recipe, measured in one precision."""
    facts = facts_of(recipe)
    train, val = _first(facts.train, recipe.data.limit), _first(facts.val, recipe.data.val_limit)
    cut = blocks(train, recipe.data, recipe.gradient, recipe.seed, 1, torch.device("cpu"))
    taken = range(1, recipe.steps + 1)
    flop, val_flop, product_flop, parameters = _count(recipe, facts, len(cut))
    analysis = recipe.analysis
    every = analysis.sharpness_every if analysis else None
    timing = _time(recipe, facts, precision, device, max(map(len, cut)), len(cut), seconds)
    threads = torch.get_num_threads()  # as chosen for the blocks that were timed
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads} CPU thread{'s'[: threads > 1]}"
    return Plan(
        recipe=recipe.name,
        steps=recipe.steps,
        blocks=len(cut),
        images=sum(map(len, cut)),
        block=max(map(len, cut)),
        val_images=val,
        validations=sum(is_validated(recipe, step) for step in taken),
        parameters=parameters,
        flop_per_image=flop,
        val_flop_per_image=val_flop,
        data_mib=_on_device(recipe.data, (train + val) * facts.form.features * _BYTES[facts.form.kind], device) / 2**20,
        device=name,
        timings=(timing,),
        products=len(taken[::every]) * analysis.products if analysis and every else 0,
        product_images=sum(map(len, cut[: analysis.blocks])) if analysis else 0,
        product_flop_per_image=product_flop,
        memory_total_mib=_memory_mib(device),
        emulation=emulation(precision, device),
        trials=recipe.optimizer.trials if isinstance(recipe.optimizer, LineSearch) else 0,
    )


def _memory_mib(device: torch.device) -> float:
    """Return how much of the device's memory this process may use, in MiB."""
    is_gpu = device.type == "cuda"
    return (torch.cuda.get_device_properties(device).total_memory if is_gpu else memory().total) / 2**20


def _on_device(section: Data, size: int, device: torch.device) -> int:
    """Return how many bytes of inputs of a size will lie on the device: all, unless they are streamed."""
    return 0 if section.is_streamed(size, room(device, 1).device) else size


def _first(images: int, limit: int | None) -> int:
    return images if limit is None else min(images, limit)


def _count(recipe: Recipe, facts: DataSetFacts, blocks: int) -> tuple[float, float, float, int]:
    """Return the FLOP of an image in a step, validation and Hessian-vector product, and the number of parameters."""
    form = facts.form
    model = make_model(recipe.model, form)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    wants_products = recipe.analysis is not None and recipe.analysis.sharpness_every is not None
    product = count_product(model, form) if wants_products else 0.0
    return count_step(model, form, recipe, blocks), count_forward(model, form), product, parameters


def _time(
    recipe: Recipe,
    facts: DataSetFacts,
    precision: Precision,
    device: torch.device,
    block: int,
    blocks: int,
    seconds: float,
) -> Timing:
    """Time as many blocks of the recipe's own size as the time allows; smaller ones if not even three would do.

    A step of several blocks may take a pass that a step of a single block does not: it is timed too if it is taken.
    """
    recipe = recipe.model_copy(update={"precision": precision})
    regularizer = make_regularizer(recipe.penalty)
    probe, least = min(_FEW, block), 2 if regularizer and regularizer.needs_full_gradient(blocks) else 1
    guess = Probe(recipe, facts, probe, least, 1, device).seconds_per_image(1)
    if probe * guess <= seconds / 4:
        probe = min(_PROBE, block)
        guess = Probe(recipe, facts, probe, least, 1, device).seconds_per_image(1)
    affordable = int(seconds / max(guess, 1e-9) / 4)  # images; a first step and two timed ones, the first perhaps twice
    measured = block if affordable >= least * block else probe
    count = max(least, min(affordable // measured, 32)) if blocks > 1 else 1
    timed = Probe(recipe, facts, measured, count, _VAL_PROBE if affordable > _VAL_PROBE else probe, device)
    per_image = timed.seconds_per_image(2)
    return Timing(precision, measured, 2 * count, per_image, timed.val_seconds_per_image(), timed.memory_mib())


if __name__ == "__main__":
    main()
