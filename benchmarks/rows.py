"""A row of a table for each way to compute a step: how long it takes, and what it needs; or why it failed."""

import gc
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.textbook import Textbook, from_loader
from benchmarks.variants import Variant, engine, stepper_of
from fbmon.recipe import Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.hardware.attainable import attainable_flops
from fbmon.train.hardware.precision import emulation, set_precision_
from fbmon.train.hardware.process import set_up

HEADER = ("", "s a step, median", "spread", "n", "images/s", "share of the limit", "MiB at the peak")


def row_of(variant: Variant, recipe: Recipe, images: DataSet, seconds: float, flop: float) -> list[str]:
    """A variant's, `seconds` long and at least two steps; why, if it fails, whatever that be."""
    device = images.device
    if reason := emulation(variant.precision, device):
        return [variant.name, f"{reason}: not measured"]
    try:
        with engine(variant.engine), _peak(device) as peak:
            cells = _measured(variant, recipe, images, seconds, flop)
        return [variant.name, *cells, *peak]
    except Exception as error:  # of a compiler, say, or of CUDA: the next row may fare better
        return [variant.name, failed(error)]


def row_of_textbook(recipe: Recipe, images: DataSet, seconds: float, flop: float) -> list[str]:
    """The textbook loop's, in TF32 and with a DataLoader."""
    name, device = "textbook: TF32, torchvision in a DataLoader", images.device
    set_precision_(torch.nn.Linear(1, 1).to(device), "tf32")
    torch.use_deterministic_algorithms(False)
    try:
        with _peak(device) as peak:
            cells = _textbook(recipe, images, seconds, flop)
        return [name, *cells, *peak]
    except Exception as error:
        return [name, failed(error)]
    finally:
        set_up()


def _measured(variant: Variant, recipe: Recipe, images: DataSet, seconds: float, flop: float) -> list[str]:
    gradient = recipe.gradient.model_copy(update={"accumulation": variant.accumulation})
    recipe = recipe.model_copy(update={"gradient": gradient})
    stepper = stepper_of(recipe, variant.precision, images, is_contiguous=variant.is_contiguous)
    told = stepper.plan()
    if "block by block" in told.device or "no memory for" in told.device:  # not what was asked for
        return [told.device.split(", ", 1)[1], *[""] * (len(HEADER) - 3)]
    taken, begun = list[float](), time.monotonic()
    while len(taken) < 2 or time.monotonic() - begun < seconds:
        before = time.perf_counter()
        stepper.take_step(stepper.plan_step(stepper.step + 1))
        taken.append(time.perf_counter() - before)
    limit = attainable_flops(images.device, variant.precision)
    return _cells(taken[1:], told.images, told.images * flop / limit)  # the first warms up, and sets the mean's units


def _textbook(recipe: Recipe, images: DataSet, seconds: float, flop: float) -> list[str]:
    """As many blocks as half the time may allow, after some that warm up and start the workers; scaled to a step."""
    device = images.device
    block, workers = recipe.gradient.block, min(os.cpu_count() or 1, 16) if device.type == "cuda" else 0
    whole = len(images.train) - len(images.train) % block
    blocks, taken = min(8, whole // block), list[float]()
    while True:
        loop = Textbook(recipe, images, device, from_loader(images, block, blocks, workers))
        loop.step()
        began = time.perf_counter()
        loop.step()
        spent = time.perf_counter() - began
        if taken or blocks == whole // block or spent > seconds / 4:
            break
        blocks = max(blocks, min(whole // block, int(blocks * seconds / 4 / spent)))
        taken.append(spent)
    limit = attainable_flops(device, "tf32")
    return _cells([spent * whole / (blocks * block)], whole, whole * flop / limit)


@contextmanager
def _peak(device: torch.device) -> Iterator[list[str]]:
    """What a GPU's memory held at most within; and nothing of it stays for the next."""
    told: list[str] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    yield told
    told.append(f"{torch.cuda.max_memory_reserved(device) / 2**20:,.0f}" if device.type == "cuda" else "")


def clean_up() -> None:
    """Free what a row has left; graphs, and what was compiled, are found only by Python's collector."""
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def failed(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"failed: {type(error).__name__}: {lines[0][:150] if lines else ''}".replace("|", "/")


def _cells(taken: list[float], images: int, least: float) -> list[str]:
    median = statistics.median(taken)
    spread = f"{min(taken):.3f} to {max(taken):.3f}"
    return [f"{median:.3f}", spread, str(len(taken)), f"{images / median:,.0f}", f"{least / median:.1%}"]
