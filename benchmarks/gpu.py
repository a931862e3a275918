"""How near a GPU's limit a full-batch step comes, within 9 minutes: `python -m benchmarks.gpu --data DIR`.

DIR holds cifar-10-batches-py; where it has to arrive in pieces, `python -m tools.parts` packs and unpacks it. The
most telling parts come first, each as long as time is left, every row as soon as it is known: `goals`, each recipe
beside a textbook loop; `profile`, how busy the device is and with what; `agreement`, the engines' losses and penalties
against the plain one's; `variants`, each idea alone. `--part` chooses, so that several short calls may share the work.
`--device cpu --quick` runs all of it in a minute on tiny sizes, which says that it works and nothing about speed. To
train: `python -m tools.slices`.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.agreement import print_losses, print_penalties
from benchmarks.kernel_times import print_profile
from benchmarks.rows import HEADER, clean_up, row_of, row_of_textbook
from benchmarks.table import machine, print_table
from benchmarks.variants import BEST, GOALS, VARIANTS, Variant, engine, stepper_of
from fbmon import recipe as recipes
from fbmon.analysis.worker.probe import random_data
from fbmon.ranks.devices import FOR_CUDA
from fbmon.recipe import DATA_SETS, Recipe
from fbmon.train.data.data import DataSet
from fbmon.train.data.load import load
from fbmon.train.flop import count
from fbmon.train.hardware.precision import Precision, is_emulated
from fbmon.train.hardware.process import set_up
from fbmon.train.models import make_model
from fbmon.train.objective.regularize import make_regularizer

PARTS = ("goals", "profile", "agreement", "variants")
SECONDS = {"fb_clipped": 0.45, "fb_regularized": 0.9, "fb_strong_reg": 1.2}  # the goals: of a step, on an H200
_QUICK = ("data.limit=96", "data.val_limit=32", "model.name=resnet8", "model.width=4", "gradient.block=16")
_WAYS = ("eager float32", "eager tf32", "lanes:4 tf32", "lanes:4 bfloat16", "lanes:4,compiled bfloat16")


class Clock:
    """How much of the time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()


@dataclass(frozen=True)
class Bench:
    """The parts; each prints what it finds."""

    recipes: list[Recipe]
    images: DataSet
    clock: Clock
    seconds: float | None  # of each row; None: so that all have their turn
    is_quick: bool

    def goals(self) -> None:
        self._tables(GOALS, 0.6, beside_textbook=True)

    def profile(self) -> None:
        device = self.images.device
        precision: Precision = "float32" if is_emulated(BEST.precision, device) else BEST.precision
        with engine(BEST.engine):
            print_profile(stepper_of(self.recipes[0], precision, self.images), device)

    def agreement(self) -> None:
        recipe = next((one for one in self.recipes if one.penalty), self.recipes[0])
        ways = [way for way in _WAYS if not (self.is_quick and "compiled" in way)]
        print_losses(recipe, self.images, ways, 5 if self.is_quick else 50)
        print_penalties(recipe, self.images)

    def variants(self) -> None:
        self._tables(VARIANTS, 1.0, beside_textbook=False)

    def _tables(self, variants: Sequence[Variant], share: float, *, beside_textbook: bool) -> None:
        """One of each recipe, within this share of the time that is left."""
        # To compile takes a minute on a GPU, and half of one for anything that is small.
        some = [one for one in variants if not (self.is_quick and one.is_compiled)]
        left = self.clock.left()
        for place, recipe in enumerate(self.recipes, 1):
            until = left * (1 - share * place / len(self.recipes))
            self._table(recipe, some, until, beside_textbook=beside_textbook)

    def _table(self, recipe: Recipe, variants: Sequence[Variant], until: float, *, beside_textbook: bool) -> None:
        form = self.images.form
        flop = count(make_model(recipe.model, form), form, make_regularizer(recipe.penalty))
        goal = SECONDS.get(recipe.name, "–")
        print(f"\n{recipe.name}: {flop / 1e9:.2f} GFLOP an image; goal on an H200: {goal} s a step\n")
        print_table(HEADER, self._rows(recipe, variants, until, flop, beside_textbook))

    def _rows(
        self, recipe: Recipe, variants: Sequence[Variant], until: float, flop: float, beside_textbook: bool
    ) -> Iterator[list[str]]:
        """As long as more than `until` seconds are left; then it is said what was not measured."""
        if beside_textbook:
            yield row_of_textbook(recipe, self.images, self._share(len(variants) + 1, until), flop)
            clean_up()
        for place, variant in enumerate(variants):
            if self.clock.left() <= until:
                yield [variant.name, "not measured: no time left"]
                continue
            yield row_of(variant, recipe, self.images, self._share(len(variants) - place, until), flop)
            clean_up()

    def _share(self, rows: int, until: float) -> float:
        """The seconds of a row, of so many; what one spends on its beginning is taken for as long as its steps."""
        return self.seconds or max(1.0, (self.clock.left() - until) / 2 / rows)


def main() -> None:
    arguments = _arguments()
    clock, device = Clock(60 * arguments.minutes - 20), torch.device(arguments.device)
    os.environ.update(FOR_CUDA | os.environ)
    set_up()
    _print_machine(device)
    quick = _QUICK if arguments.quick else ()
    wanted = [recipes.load(recipes.find(name), quick) for name in arguments.recipe or SECONDS]
    images = _images(wanted[0], arguments.data, device)
    bench = Bench(wanted, images, clock, arguments.seconds, arguments.quick)
    for part in arguments.part or PARTS:
        try:
            getattr(bench, part)()
        except Exception as error:  # the parts that follow may say something still
            print(f"\n{part} failed: {type(error).__name__}: {error}", flush=True)
        clean_up()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds cifar-10-batches-py; without it random images")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--recipe", action="append", help=f"default: {', '.join(SECONDS)}")
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all, in this order")
    parser.add_argument("--seconds", type=float, help="of each row; default: so that all have their turn")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    return parser.parse_args()


def _print_machine(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
        known = torch.cuda.get_device_properties(device)
        print(
            f"{known.name}, {known.total_memory / 2**30:.0f} GiB, compute capability {known.major}.{known.minor}, ",
            end="",
        )
        cudnn = torch.backends.cudnn.version()
        print(f"CUDA {torch.version.cuda}, cuDNN {cudnn}, in ", end="")
    print(machine("torch"), flush=True)


def _images(recipe: Recipe, folder: Path | None, device: torch.device) -> DataSet:
    if folder is not None:
        return load(recipe.data, folder, device, lambda _: None)
    facts, data = DATA_SETS[recipe.data.dataset], recipe.data
    return random_data(facts, data.limit or facts.train, data.val_limit or 500, device)


if __name__ == "__main__":
    main()
