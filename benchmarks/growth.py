"""How a step grows with the images, the copies and the processes: `python -m benchmarks.growth`.

A narrow ResNet, on random images in the shape of CIFAR-10, augmented, in blocks of 128. Every size has
a process of its own, so that the peak of memory is its own; they take turns.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import in_turn, machine, print_table, spread

SIZES = (1024, 2048, 4096, 8192)
SETTINGS = ("model.name=resnet8", "model.width=8", "gradient.block=128", "validation.every=1000000")
_STEPS = 2  # timed, after one that sets the exact mean's units


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, help="processes of each size")
    parser.add_argument("--data", type=Path, help="the folder that holds cifar-10-batches-py, for the processes' ratio")
    parser.add_argument("--measure", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    print(f"{machine('torch')}; n = {arguments.n} processes of each, in turn, {_STEPS} steps each\n")
    _print_sizes(arguments.n)
    if arguments.data:
        _print_ranks(arguments.n, arguments.data)


def measure(images: int, copies: int) -> dict[str, float]:
    """CPU seconds of a step over `images` images in `copies` copies, and what it adds to the peak of memory."""
    import torch

    from fbmon import recipe as recipes
    from fbmon.analysis.worker.probe import random_data
    from fbmon.recipe import DATA_SETS
    from fbmon.recipe.data_sets import image_form
    from fbmon.train.hardware.precision import set_precision_
    from fbmon.train.hardware.process import set_up
    from fbmon.train.models import make_model
    from fbmon.train.step import Stepper

    set_up()
    settings = [*SETTINGS, *([f"data.copies={copies}"] if copies > 1 else [])]
    wanted = recipes.load(recipes.find("fb_clipped"), settings)
    data = random_data(DATA_SETS["cifar10"], images, 1, torch.device("cpu"))
    model = make_model(wanted.model, image_form(3, 32, 10))
    set_precision_(model, wanted.precision)
    stepper = Stepper(wanted, data, model, lambda _: None, lambda: None)
    stepper.take_step(stepper.plan_step(1))
    began = time.process_time()
    for step in range(2, 2 + _STEPS):
        stepper.take_step(stepper.plan_step(step))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
    return {"seconds": (time.process_time() - began) / _STEPS, "mib": peak}


def _print_sizes(n: int) -> None:
    found: dict[tuple[int, int], list[dict[str, float]]] = {}

    def once(size: tuple[int, int]) -> float:
        command = [sys.executable, "-m", "benchmarks.growth", "--measure", *map(str, size)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        told = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        found.setdefault(size, []).append(told)
        return float(told["seconds"])

    sizes = [*((size, 1) for size in SIZES), (SIZES[0], 4)]
    in_turn({str(size): lambda size=size: once(size) for size in sizes}, n, warm_ups=0)  # type: ignore[misc]
    base = statistics.median(one["seconds"] for one in found[SIZES[0], 1]) / SIZES[0]
    rows = []
    for (images, copies), told in found.items():
        seconds = [one["seconds"] for one in told]
        data_mib = images * 3 * 32 * 32 / 2**20
        rows.append([
            f"{images:,}" + (f" in {copies} copies" if copies > 1 else ""),
            *spread(seconds, ".3f").split(" | "),
            f"{statistics.median(seconds) / images / copies / base:.3f}",
            f"{statistics.median(one['mib'] for one in told) - data_mib:,.0f}",
        ])  # fmt: skip
    print_table(
        ["images", "CPU s a step, median", "spread", "an image's, to the first row's", "peak MiB without the data"],
        rows,
    )


def _print_ranks(n: int, data: Path) -> None:
    """Wall seconds of a step of one process with two threads, and of two with one, which exchange by gloo."""
    cases = {
        "1 process, 2 threads": lambda: _run(data, "cpu", "2"),
        "2 processes of 1 thread": lambda: _run(data, "cpu:2", "1"),
    }
    found = in_turn(cases, n, warm_ups=0)
    one, two = found.values()
    print()
    rows = [[name, *spread(seconds, ".3f").split(" | ")] for name, seconds in found.items()]
    print_table(["4,096 images, ResNet-18 of width 16", "s a step, median", "spread"], rows)
    ratios = [alone / shared for alone, shared in zip(one, two, strict=True)]
    median, least, most = statistics.median(ratios), min(ratios), max(ratios)
    print(f"\nSpeed of two processes, paired: {median:.2f} ({least:.2f} to {most:.2f}) of one with two threads")


def _run(data: Path, devices: str, threads: str) -> float:
    """The median seconds of the steps of a run but its first."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "fbmon", "run", "fb_clipped", "--devices", devices, "--ui", "json"]
        command += ["--steps", "4", "--runs-dir", home, "--data-dir", str(data)]
        settings = ("data.limit=4096", "data.val_limit=10", "model.width=16", "validation.every=1000000")
        command += [f"--set={setting}" for setting in settings]
        environment = os.environ | {"OMP_NUM_THREADS": threads}
        lines = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.splitlines()
    steps = [told for line in lines if (told := json.loads(line))["kind"] == "StepTaken"]
    return float(statistics.median(told["values"]["step_seconds"] for told in steps[1:]))


if __name__ == "__main__":
    main()
