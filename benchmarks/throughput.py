"""How many images a second go through a full-batch step on this CPU: `python -m benchmarks.throughput`.

fbmon's own steps (augmentation, exact mean, clipping and measures included) in turn with a textbook loop that is given
its network input ready made; one process, the same threads.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable

import torch

from benchmarks.table import in_turn, machine, print_table
from benchmarks.textbook import Textbook, from_memory
from fbmon import recipe as recipes
from fbmon.events import Event, StepTaken
from fbmon.recipe import Recipe
from fbmon.train.device import compute_repeatably
from fbmon.train.models import make_model
from fbmon.train.precision import set_precision_
from fbmon.train.probe import SHAPES, random_data
from fbmon.train.step import Stepper

_PARTS = ("data", "gradient", "penalty", "mean", "update")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="timed steps of each case")
    parser.add_argument("--blocks", type=int, default=2, help="blocks of a step")
    parser.add_argument("--recipe", default="fb_clipped")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="as of fbmon run")
    arguments = parser.parse_args()
    compute_repeatably()
    wanted = recipes.load(recipes.find(arguments.recipe), ["gradient.block=128", *arguments.settings])
    compare(wanted, arguments.blocks, arguments.n)


def compare(wanted: Recipe, count: int, n: int) -> None:
    """One table: textbook, float32, bfloat16."""
    parts: dict[str, Counter[str]] = {}
    cases = {"textbook: contiguous, float32, eager": textbook(wanted, count)}
    for precision in ("float32", "bfloat16"):
        name = f"fbmon, {precision}"
        parts[name] = Counter()
        cases[name] = own(wanted.model_copy(update={"precision": precision}), count, parts[name])
    found = in_turn(cases, n)
    block = wanted.gradient.block
    print(
        f"{machine('torch')}; {torch.get_num_threads()} threads; {wanted.name}, {wanted.model.name} of width ", end=""
    )
    print(f"{wanted.model.width}, steps of {count} blocks of {block}; n = {n} steps of each, in turn\n")
    base = found["textbook: contiguous, float32, eager"]
    rows = []
    for name, seconds in found.items():
        rates = sorted(count * block / one for one in seconds)
        ratios = sorted(other / one for one, other in zip(seconds, base, strict=True))
        shares = parts.get(name, Counter())
        total = sum(shares.values()) or 1.0
        told = ", ".join(f"{part} {shares[part] / total:.1%}" for part in _PARTS if shares[part])
        rows.append([
            name, f"{statistics.median(rates):.1f}", f"{rates[0]:.1f} to {rates[-1]:.1f}",
            f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}", told,
        ])  # fmt: skip
    print_table(["", "images/s, median", "spread", "× textbook, paired", "spread", "where its time goes"], rows)


def textbook(wanted: Recipe, count: int) -> Callable[[], float]:
    """A step of the textbook's; its seconds."""
    data = random_data(SHAPES[wanted.data.dataset], wanted.gradient.block * count, 1, torch.device("cpu"))
    loop = Textbook(wanted, data, torch.device("cpu"), from_memory(data, wanted.gradient.block, count))

    def measure() -> float:
        began = time.perf_counter()
        loop.step()
        return time.perf_counter() - began

    return measure


def own(wanted: Recipe, count: int, parts: Counter[str]) -> Callable[[], float]:
    """A step of fbmon's; its seconds. Where they go is added to `parts`."""
    shape = SHAPES[wanted.data.dataset]
    data = random_data(shape, wanted.gradient.block * count, 1, torch.device("cpu"))
    torch.manual_seed(wanted.seed)
    model = make_model(wanted.model, shape.channels, shape.classes)
    set_precision_(model, wanted.precision)
    told: list[Event] = []
    stepper = Stepper(wanted, data, model, told.append, lambda: None)

    def measure() -> float:
        began = time.perf_counter()
        stepper.take_step(stepper.step + 1)
        taken = time.perf_counter() - began
        values = next(event.values for event in reversed(told) if isinstance(event, StepTaken))
        parts.update({part: values.get(f"{part}_seconds") or 0.0 for part in _PARTS})
        return taken

    return measure


if __name__ == "__main__":
    main()
