"""How many images a second go through a full-batch step on this CPU: `python -m benchmarks.throughput`.

fbmon's own steps (augmentation, exact mean, clipping and measures included) in turn with a textbook loop that is given
its network input ready made. Each case has a process of its own, because fbmon also sets how its process keeps memory;
all have the same threads, and pause while another takes its step.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch

from benchmarks.table import in_turn, machine, print_table
from benchmarks.textbook import Textbook, from_memory
from fbmon import recipe as recipes
from fbmon.analysis.worker.probe import random_data
from fbmon.events import Event, StepTaken
from fbmon.recipe import DATA_SETS, Recipe
from fbmon.train.hardware.precision import Precision, emulation, set_precision_
from fbmon.train.hardware.process import set_up
from fbmon.train.models import make_model
from fbmon.train.step import Stepper

_PARTS = ("data", "gradient", "penalty", "mean", "update")
_TEXTBOOK = "textbook: contiguous, float32, eager"
_WARM_UPS = 3  # steps: the first sets the exact mean's units, and memory grows for some more

Parts = dict[str, float]  # seconds of a step by part
Measure = Callable[[], tuple[float, Parts]]  # takes a step; its seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="timed steps of each case")
    parser.add_argument("--blocks", type=int, default=2, help="blocks of a step")
    parser.add_argument("--recipe", default="fb_clipped")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="as of fbmon run")
    arguments = parser.parse_args()
    wanted = recipes.load(recipes.find(arguments.recipe), ["gradient.block=128", *arguments.settings])
    compare(wanted, arguments.blocks, arguments.n)


def compare(wanted: Recipe, count: int, n: int) -> None:
    """One table: textbook, float32, bfloat16 where the processor has it."""
    cases = {_TEXTBOOK: Case(textbook, wanted, count)}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    for precision in precisions:
        if reason := emulation(precision, torch.device("cpu")):
            print(f"{reason}: not measured\n", flush=True)
            continue
        cases[f"fbmon, {precision}"] = Case(own, wanted.model_copy(update={"precision": precision}), count)
    found = in_turn({name: case.step for name, case in cases.items()}, n, _WARM_UPS)
    block, threads = wanted.gradient.block, torch.get_num_threads()
    print(f"{machine('torch')}; {threads} thread{'s'[: threads > 1]}; {wanted.name}, ", end="")
    print(f"{wanted.model.name} of width {wanted.model.width}, steps of {count} blocks of {block}; ", end="")
    print(f"n = {n} steps of each, in turn\n")
    rows = []
    for name, seconds in found.items():
        rates = sorted(count * block / one for one in seconds)
        ratios = sorted(other / one for one, other in zip(seconds, found[_TEXTBOOK], strict=True))
        shares = cases[name].parts
        total = sum(shares.values()) or 1.0
        told = ", ".join(f"{part} {shares[part] / total:.1%}" for part in _PARTS if shares[part])
        rows.append([
            name, f"{statistics.median(rates):.1f}", f"{rates[0]:.1f} to {rates[-1]:.1f}",
            f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}", told,
        ])  # fmt: skip
    print_table(["", "images/s, median", "spread", "× textbook, paired", "spread", "where its time goes"], rows)


class Case:
    """Steps in a process of its own; `parts` is where the time of all of them went."""

    def __init__(self, make: Callable[[Recipe, int], Measure], wanted: Recipe, count: int) -> None:
        self.parts: Counter[str] = Counter()
        self._mine, theirs = get_context("spawn").Pipe()
        get_context("spawn").Process(target=_serve, args=(theirs, make, wanted, count), daemon=True).start()

    def step(self) -> float:
        """Its seconds."""
        self._mine.send(None)
        seconds, parts = self._mine.recv()
        self.parts.update(parts)
        return float(seconds)


def _serve(asks: Connection, make: Callable[[Recipe, int], Measure], wanted: Recipe, count: int) -> None:
    measure = make(wanted, count)
    with suppress(EOFError):  # nobody asks any more
        while True:
            asks.recv()
            asks.send(measure())


def textbook(wanted: Recipe, count: int) -> Measure:
    """Steps of the textbook's."""
    data = random_data(DATA_SETS[wanted.data.dataset], wanted.gradient.block * count, 1, torch.device("cpu"))
    loop = Textbook(wanted, data, torch.device("cpu"), from_memory(data, wanted.gradient.block, count))

    def measure() -> tuple[float, Parts]:
        began = time.perf_counter()
        loop.step()
        return time.perf_counter() - began, {}

    return measure


def own(wanted: Recipe, count: int) -> Measure:
    """Steps of fbmon's."""
    set_up()
    shape = DATA_SETS[wanted.data.dataset]
    data = random_data(shape, wanted.gradient.block * count, 1, torch.device("cpu"))
    torch.manual_seed(wanted.seed)
    model = make_model(wanted.model, shape.form)
    set_precision_(model, wanted.precision)
    told: list[Event] = []
    stepper = Stepper(wanted, data, model, told.append, lambda: None)

    def measure() -> tuple[float, Parts]:
        began = time.perf_counter()
        stepper.take_step(stepper.plan_step(stepper.step + 1))
        taken = time.perf_counter() - began
        values = next(event.values for event in reversed(told) if isinstance(event, StepTaken))
        return taken, {part: values.get(f"{part}_seconds") or 0.0 for part in _PARTS}

    return measure


if __name__ == "__main__":
    main()
