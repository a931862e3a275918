"""How near a GPU's limit a full-batch step comes, within 9 minutes: `python -m benchmarks.gpu --data DIR`.

DIR holds cifar-10-batches-py; where it has to arrive in pieces, `python -m benchmarks.parts` packs and unpacks it. In
this order, each part as long as time is left: the engines against the plain one, on few images; a table of variants for
each recipe, beside a textbook loop; where the time of the best one goes. `--device cpu --quick` runs all of it in a
minute on tiny sizes, which says that it works and nothing about speed. To train: `python -m benchmarks.slices`.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.agreement import print_losses, print_penalties
from benchmarks.profile import print_profile
from benchmarks.table import machine, print_table
from benchmarks.textbook import Textbook, from_loader
from fbmon import recipe as recipes
from fbmon.recipe import Recipe
from fbmon.train import data as data_sets
from fbmon.train.attainable import attainable_flops
from fbmon.train.data import DataSet
from fbmon.train.flop import count
from fbmon.train.models import make_model
from fbmon.train.precision import Precision, set_precision_
from fbmon.train.probe import SHAPES, random_data
from fbmon.train.step import Stepper

RECIPES = ("fb_regularized", "fb_strong_reg", "fb_clipped")
GOALS = {"fb_regularized": 0.9, "fb_strong_reg": 1.2, "fb_clipped": 0.45}  # seconds a step, on an H200
_QUICK = ("data.limit=96", "data.val_limit=32", "model.name=resnet8", "model.width=4", "gradient.block=16")


@dataclass(frozen=True)
class Variant:
    """One way to compute the same step."""

    name: str
    engine: str
    precision: Precision
    settings: tuple[str, ...] = ()


VARIANTS = (
    Variant("block by block", "eager", "float32"),
    Variant("TF32", "eager", "tf32"),
    Variant("TF32, 1 lane", "lanes:1", "tf32"),
    Variant("TF32, 4 lanes", "lanes:4", "tf32"),
    Variant("bfloat16", "eager", "bfloat16"),
    Variant("bfloat16, 1 lane", "lanes:1", "bfloat16"),
    Variant("bfloat16, 2 lanes", "lanes:2", "bfloat16"),
    Variant("bfloat16, 4 lanes", "lanes:4", "bfloat16"),
    Variant("bfloat16, 8 lanes", "lanes:8", "bfloat16"),
    Variant("bfloat16, 4 lanes, a plain sum", "lanes:4", "bfloat16", ("gradient.accumulation=fp32",)),
)
BEST = Variant("bfloat16, 4 lanes", "lanes:4", "bfloat16")


class Clock:
    """How much of the time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds cifar-10-batches-py; without it random images")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--recipe", action="append", help=f"default: {', '.join(RECIPES)}")
    parser.add_argument("--seconds", type=float, help="of each variant; default: so that all have their turn")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    arguments = parser.parse_args()
    clock, device = Clock(60 * arguments.minutes - 20), torch.device(arguments.device)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    print(f"{device}, {torch.cuda.get_device_name(device) if device.type == 'cuda' else ''} in {machine('torch')}\n")
    quick = _QUICK if arguments.quick else ()
    wanted = [recipes.load(recipes.find(name), quick) for name in arguments.recipe or RECIPES]
    images = _images(wanted[0], arguments.data, device)
    print_losses(
        wanted[0],
        images,
        ("eager float32", "eager tf32", "lanes:4 tf32", "lanes:4 bfloat16"),
        5 if arguments.quick else 50,
    )
    print_penalties(wanted[0], images)
    for place, recipe in enumerate(wanted):
        # Something is left for the profile; what a variant spends on its beginning is taken for as long as its steps.
        table = clock.left() / (len(wanted) - place + 0.5)
        share = arguments.seconds or table / 2 / (1 + len(VARIANTS))
        _print_variants(recipe, images, clock, share, 0.0 if arguments.seconds else clock.left() - table)
    with engine(BEST.engine):
        print_profile(stepper_of(wanted[0], BEST.precision, images), device)


def _images(recipe: Recipe, folder: Path | None, device: torch.device) -> DataSet:
    if folder is not None:
        return data_sets.load(recipe.data, folder, device, lambda _: None)
    return random_data(SHAPES[recipe.data.dataset], recipe.data.limit or 50_000, recipe.data.val_limit or 500, device)


def stepper_of(recipe: Recipe, precision: Precision, images: DataSet) -> Stepper:
    """The real loop of a recipe, ready for its first step."""
    recipe = recipe.model_copy(update={"precision": precision})
    torch.manual_seed(recipe.seed)
    model = make_model(recipe.model, images.train.pictures.shape[1], images.classes).to(images.train.labels.device)
    set_precision_(model, precision)
    return Stepper(recipe, images, model, lambda _: None, lambda: None)


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Within it, this engine is made."""
    before = os.environ.get("FBMON_ENGINE")
    os.environ["FBMON_ENGINE"] = name
    try:
        yield
    finally:
        os.environ.pop("FBMON_ENGINE")
        if before is not None:
            os.environ["FBMON_ENGINE"] = before


def _print_variants(recipe: Recipe, images: DataSet, clock: Clock, share: float, until: float) -> None:
    """One table, `share` seconds a row, as long as more than `until` are left; the rest is said to be unmeasured."""
    device, shape = images.train.labels.device, images.train.pictures.shape[1:]
    model = make_model(recipe.model, shape[0], images.classes)
    flop = count(model, shape, recipe.penalty)
    print(
        f"\n{recipe.name}: {flop / 1e9:.2f} GFLOP an image; goal on an H200: {GOALS.get(recipe.name, '–')} s a step\n"
    )
    rows = [["textbook: TF32, torchvision in a DataLoader", *_textbook(recipe, images, share, flop)]]
    for variant in VARIANTS:
        if clock.left() < until + share:
            rows.append([variant.name, "not measured: no time left", "", "", "", ""])
            continue
        rows.append([variant.name, *_variant(recipe, variant, images, share, flop)])
        if device.type == "cuda":
            torch.cuda.empty_cache()
    header = ["", "s a step, median", "spread", "n", "images/s", "share of the limit"]
    print_table(header, rows)


def _variant(recipe: Recipe, variant: Variant, images: DataSet, seconds: float, flop: float) -> list[str]:
    with engine(variant.engine):
        settings = dict(setting.split("=") for setting in variant.settings)
        if accumulation := settings.get("gradient.accumulation"):
            gradient = recipe.gradient.model_copy(update={"accumulation": accumulation})
            recipe = recipe.model_copy(update={"gradient": gradient})
        try:
            stepper = stepper_of(recipe, variant.precision, images)
            told = stepper.plan()
            if told.device.count("block by block") and variant.engine != "eager":
                return [told.device.split(", ", 1)[1], "", "", "", ""]
            taken, begun = list[float](), time.monotonic()
            while len(taken) < 2 or time.monotonic() - begun < seconds:
                before = time.perf_counter()
                stepper.take_step(stepper.step + 1)
                taken.append(time.perf_counter() - before)
        except (RuntimeError, torch.OutOfMemoryError) as error:
            return [f"failed: {str(error).splitlines()[0][:100]}", "", "", "", ""]
    limit = attainable_flops(images.train.labels.device, variant.precision)
    return _row(taken[1:], told.images, told.images * flop / limit)  # the first warms up, and sets the mean's units


def _textbook(recipe: Recipe, images: DataSet, seconds: float, flop: float) -> list[str]:
    """As many blocks as half the time may allow, after some that warm up and start the workers; scaled to a step."""
    device = images.train.labels.device
    set_precision_(torch.nn.Linear(1, 1).to(device), "tf32")
    torch.use_deterministic_algorithms(False)
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
    torch.use_deterministic_algorithms(True)
    limit = attainable_flops(device, "tf32")
    return _row([spent * whole / (blocks * block)], whole, whole * flop / limit)


def _row(taken: list[float], images: int, least: float) -> list[str]:
    median = statistics.median(taken)
    spread = f"{min(taken):.3f} to {max(taken):.3f}"
    return [f"{median:.3f}", spread, str(len(taken)), f"{images / median:,.0f}", f"{least / median:.1%}"]


if __name__ == "__main__":
    main()
