"""A journal synthesized from published figures: nobody has trained this run.

The published trace is of a ResNet-18 on CIFAR-10, full batch with regularization, 3,000 updates. Known of it are some
points of each curve, the number of clipped updates in each stretch of 250 and the values around the spike at 2286.
Between them the curves are laid geometrically; which of the scattered updates were clipped is a free choice.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fbmon.events import (
    Event,
    GradientClipped,
    PhaseEntered,
    RunEnded,
    RunStarted,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.recipe import Cosine, Sgd
from fbmon.recipe.schedule import learning_rate
from fbmon.run.journal import Journal
from fbmon.store.series import Floats

STEPS, THRESHOLD, SECONDS = 3000, 0.25, 15.04  # 12 h 32 m 44 s in all
SPIKE = 2286
NORMS = {
    1: 2.758, 10: 1.122, 20: 0.725, 50: 1.511, 100: 2.007, 200: 2.626, 300: 0.943, 400: 0.648, 600: 1.009, 1000: 1.895,
    1500: 0.373, 1927: 0.51, 2285: 0.24, SPIKE: 48.77, 2290: 1.8, 2510: 0.46, 3000: 0.2,
}  # fmt: skip
LOSSES = {
    1: 2.4131, 101: 1.2854, 201: 0.9897, 301: 0.6628, 401: 0.3502, 501: 0.16, 1001: 0.0702, 1501: 0.0149, 2001: 0.0143,
    2285: 0.0014, SPIKE: 0.0805, 2287: 0.2176, 2501: 0.0076, 3000: 0.0012,
}  # fmt: skip
VALIDATIONS = {step: value / 100 for step, value in zip(
    [*range(1, 3000, 100), 3000],
    [9.80, 53.41, 61.74, 74.57, 84.00, 87.01, 88.44, 90.77, 89.20, 90.47, 83.98, 90.46, 89.77, 92.08, 91.17, 85.74,
     91.39, 92.30, 93.41, 93.46, 92.47, 95.18, 95.24, 88.13, 93.17, 92.69, 95.42, 95.63, 95.52, 95.56, 95.44],
    strict=True,
)}  # fmt: skip


def clipped() -> set[int]:
    """Every update to 1927, 68 of the 73 to 2000, 28 of the 250 to 2250, and every one from the spike to 2510."""
    scattered = np.linspace(1929, 2000, 68).astype(int).tolist() + np.linspace(2005, 2194, 28).astype(int).tolist()
    return {*range(1, 1928), *scattered, *range(SPIKE, 2511)}


def events() -> Iterator[Event]:
    """The run from its first word to its last, in the order of a journal; not stamped."""
    yield RunStarted(run="trace-synthesized", recipe="fb_strong_reg", steps=STEPS, version="0", pid=1)
    yield TrainingStarted(STEPS, 1562, 49984, 10000, 11173962, "synthesized", "float32", THRESHOLD, 0.9568)
    yield PhaseEntered("training")
    steps = range(1, STEPS + 1)
    norms, losses = (_between(known, steps) for known in (NORMS, LOSSES))
    schedule = Cosine(name="cosine", warmup=400, horizon=4000)
    are_clipped = clipped()
    for step, laid, loss in zip(steps, norms.tolist(), losses.tolist(), strict=True):
        is_clipped = step in are_clipped
        norm = max(laid, 1.01 * THRESHOLD) if is_clipped else min(laid, 0.99 * THRESHOLD)
        if is_clipped:
            yield GradientClipped(step, norm, THRESHOLD)
        rate = learning_rate(step - 1, schedule, Sgd(name="sgd", lr=0.8))
        yield StepTaken(step, {"loss": loss, "full_loss": 1.3 * loss, "grad_norm": norm, "learning_rate": rate})
        if step in VALIDATIONS:
            yield Validated(step, {"val_accuracy": VALIDATIONS[step]})
    yield RunEnded("finished", 0, STEPS)


def write(path: Path) -> None:
    """The events as a journal; their times are those of the writing."""
    journal = Journal(path)
    for event in events():
        journal.append(event)
    journal.close()


def _between(known: dict[int, float], steps: Sequence[int]) -> Floats:
    places, values = zip(*sorted(known.items()), strict=True)
    return np.asarray(np.exp(np.interp(steps, places, [math.log(value) for value in values])))
