"""Who needs fewest passes over the data? The optimizers on 512 digits, until the training loss is 1e-2 and 1e-3.

    python -m benchmarks.passes --runs-dir DIR

Every row is of real runs, three seeds each, which lie in DIR and are not made again. Where a learning rate has to be
chosen it is the one, of five, with which a run of another seed needs fewest passes; those runs are told too.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import machine, print_table
from fbmon import recipe as recipes
from fbmon.events import StepTaken, Validated
from fbmon.reproduce import TableRun, done
from fbmon.run import RunFolder
from fbmon.run.journal import Tail

SEEDS, CHOOSING_SEED = (0, 1, 2), 3
LOSSES = (1e-2, 1e-3)
HEADER = (
    "",
    "learning rate",
    *(f"passes to {loss:g}" for loss in LOSSES),
    "passes in all",
    "final validation accuracy",
)

_PAPER = 'extends = "digits/fb_regularized"\n'
_COMMON = """\
data = {dataset = "digits", limit = 512}
model = {name = "resnet8", width = 16}
gradient = {block = 64}
schedule = {name = "constant"}
validation = {every = 10}
"""


@dataclass(frozen=True)
class Method:
    """A row of the table: a recipe, and the learning rates from which one is chosen, if any is."""

    title: str
    text: str
    rates: Sequence[float] = ()


METHODS = {
    "paper": Method("the paper's recipe, `digits/fb_regularized`", _PAPER),
    "paper-plain": Method("the same without augmentation", f'{_PAPER}data = {{augment = "none"}}\n'),
    "gd": Method("gradient descent, backtracking", f'{_COMMON}optimizer = {{name = "gd"}}\n'),
    "lbfgs": Method("L-BFGS, strong Wolfe", f'{_COMMON}optimizer = {{name = "lbfgs"}}\n'),
    "adamw": Method("AdamW", f'{_COMMON}optimizer = {{name = "adamw", lr = 0.01}}\n', (0.001, 0.003, 0.01, 0.03, 0.1)),
    "muon": Method(
        "Muon, with AdamW at a tenth of its rate",
        f'{_COMMON}optimizer = {{name = "muon", lr = 0.03, adamw_lr = 0.003}}\n',
        (0.01, 0.03, 0.1, 0.3, 1.0),
    ),
    "soap": Method(
        "SOAP",
        f'{_COMMON}optimizer = {{name = "pytorch_optimizer:SOAP", lr = 0.01}}\n',
        (0.001, 0.003, 0.01, 0.03, 0.1),
    ),
}


@dataclass(frozen=True)
class Result:
    """What a run came to; a loss that it did not reach was reached after infinitely many passes."""

    passes: dict[float, float]
    in_all: int
    val_accuracy: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.passes", description=__doc__)
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    home: Path = arguments.runs_dir
    home.mkdir(parents=True, exist_ok=True)
    print(f"`python -m benchmarks.passes`, one thread; {machine('torch', 'pytorch-optimizer')}; n = {len(SEEDS)}.\n")
    chosen = dict(_choose(home, arguments.steps))
    print_table(HEADER, (_row(name, chosen.get(name), home, arguments.steps) for name in METHODS))


def _choose(home: Path, steps: int) -> Iterable[tuple[str, float]]:
    """Yield the method and its learning rate with the fewest passes to the last loss, or to the first if none is."""
    for name, method in METHODS.items():
        if method.rates:
            results = {rate: train(name, rate, CHOOSING_SEED, home, steps) for rate in method.rates}
            told = ", ".join(
                f"{rate:g}: {' and '.join(_number(result.passes[loss]) for loss in LOSSES)}"
                for rate, result in results.items()
            )
            best = min(results, key=lambda rate: [results[rate].passes[loss] for loss in reversed(LOSSES)])
            print(
                f"{method.title}, seed {CHOOSING_SEED}, learning rate and passes to the losses: {told}.\n", flush=True
            )
            yield name, best


def _row(name: str, rate: float | None, home: Path, steps: int) -> list[str]:
    results = [train(name, rate, seed, home, steps) for seed in SEEDS]
    accuracies = [result.val_accuracy for result in results]
    return [
        METHODS[name].title,
        "its own" if rate is None else f"{rate:g}",
        *(_numbers([result.passes[loss] for result in results]) for loss in LOSSES),
        _numbers([result.in_all for result in results]),
        f"{statistics.mean(accuracies):.4f} ± {statistics.stdev(accuracies):.4f}",
    ]


def train(name: str, rate: float | None, seed: int, home: Path, steps: int) -> Result:
    """Return what a run came to, which is made if it does not lie in `home` already."""
    file = home / f"{name}.toml"
    own = "" if METHODS[name].text.startswith("extends") else "".join(f"steps = {steps}\n")
    file.write_text(f'name = "{name}"\n{own}{METHODS[name].text}')
    settings = [f"seed={seed}", f"steps={steps}"]
    if rate is not None:
        settings += [f"optimizer.lr={rate}", *([f"optimizer.adamw_lr={rate / 10}"] if name == "muon" else [])]
    task = TableRun(recipes.load(file, settings), file)
    if not done(task, home):
        command = [sys.executable, "-m", "fbmon", "run", str(file), "--runs-dir", str(home), "--ui", "none"]
        command += [part for setting in settings for part in ("--set", setting)]
        subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False, stdout=subprocess.DEVNULL)
    run = done(task, home)
    if run is None:
        raise RuntimeError(f"{name}, seed {seed}: the run has not ended")
    return read(RunFolder(run.path), is_search=name in ("gd", "lbfgs"))


def read(folder: RunFolder, *, is_search: bool) -> Result:
    """Read a run's journal.

    A step tells the loss at the weights from which it begins. A search has seen it when the step before ended; all
    others see it in the step's own passes.
    """
    passes, before, accuracy = dict.fromkeys(LOSSES, math.inf), 1, math.nan
    for event in Tail(folder.journal).read():
        if isinstance(event, Validated):
            accuracy = event.values["val_accuracy"] or 0.0
        if isinstance(event, StepTaken):
            now = int(event.values.get("passes") or event.step)  # where it is not told a step is a pass
            seen = event.values["loss"]
            for loss in LOSSES:
                if seen is not None and seen <= loss:
                    passes[loss] = min(passes[loss], before if is_search else now)
            before = now
    return Result(passes, before, accuracy)


def _numbers(values: Sequence[float]) -> str:
    return f"{_number(statistics.median(values))} ({', '.join(map(_number, values))})"


def _number(value: float) -> str:
    return "–" if math.isinf(value) else f"{value:.0f}"


if __name__ == "__main__":
    main()
