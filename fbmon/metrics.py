"""One line per metric: its name, how it is labelled, on which chart it is drawn and how it is printed."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Scale = Literal["linear", "log"]
Colour = Literal["primary", "secondary", "validation", "target", "mark", "threshold"]  # what the screen's themes name


@dataclass(frozen=True)
class Chart:
    """A picture that shows one or more metrics on a common vertical axis."""

    name: str
    title: str
    scale: Scale = "linear"
    format: str = ".4g"  # of the latest values beside the title


@dataclass(frozen=True)
class Metric:
    """A number that a run tells at steps; `format` is a Python format specification."""

    name: str
    label: str
    chart: Chart
    format: str = ".4f"
    marker: str = ""  # tells its curve from the others of the chart where colours do not
    smooth: bool = True  # whether an average over steps tells more than it hides
    colour: Colour = "primary"


LOSS = Chart("loss", "loss", "log", ".3g")  # three of them have to fit
ACCURACY = Chart("accuracy", "accuracy")
GRADIENT = Chart("gradient", "gradient norm", "log")
LEARNING_RATE = Chart("learning_rate", "learning rate")
PASSES = Chart("passes", "passes over the data", format=",.0f")
BLOCK_GRADIENT = Chart("block_gradient", "block gradient norm", "log")
SHARES = Chart("shares", "share of full loss", format=".1%")
CLIPPED = Chart("clipped", "clipped of the last 50 steps", format=".0%")
CLIPPED_BLOCKS = Chart("clipped_blocks", "share of blocks clipped", format=".0%")
SPEED = Chart("speed", "images per second", format=",.0f")
FLOP_SHARE = Chart("flop_share", "share of the attainable FLOP/s", format=".1%")
STEP_TIME = Chart("step_time", "seconds per step")
PARTS = Chart("parts", "seconds per step, by part", format=".3g")
RANKS = Chart("ranks", "computing seconds, by rank", format=".3g")
WEIGHTS = Chart("weights", "weight norm")
SHARPNESS = Chart("sharpness", "sharpness")
COSINE = Chart("cosine", "cosine of successive gradients")
AGREEMENT = Chart("agreement", "agreement of the block gradients")
DISTANCE = Chart("distance", "distance from the start")

STEP = (
    Metric("loss", "train", LOSS),
    Metric("full_loss", "full", LOSS, marker="+", colour="secondary"),
    Metric("accuracy", "train", ACCURACY),
    Metric("grad_norm", "before clipping", GRADIENT),
    Metric("learning_rate", "lr", LEARNING_RATE, ".4g", smooth=False),
    Metric("block_grad_norm", "rms over blocks", BLOCK_GRADIENT),
    Metric("penalty_share", "penalty", SHARES, ".1%"),
    Metric("decay_share", "decay", SHARES, ".1%", "+", colour="secondary"),
    Metric("clipped_blocks", "clipped", CLIPPED_BLOCKS, ".0%"),
    Metric("images_per_second", "images/s", SPEED, ",.0f"),
    Metric("flop_share", "of matrix products", FLOP_SHARE, ".1%"),
    Metric("step_seconds", "step", STEP_TIME, ".3g"),
    Metric("data_seconds", "data", PARTS, ".3g", "△", colour="target"),
    Metric("gradient_seconds", "gradient", PARTS, ".3g"),
    Metric("penalty_seconds", "penalty", PARTS, ".3g", "+", colour="secondary"),
    Metric("mean_seconds", "mean", PARTS, ".3g", "○", colour="validation"),
    Metric("update_seconds", "update", PARTS, ".3g", "×", colour="mark"),
    Metric("param_norm", "norm", WEIGHTS, ".3f"),
    Metric("passes", "passes", PASSES, ",.0f", smooth=False),  # of a run whose steps are not one pass each
)
OF_RANKS = (  # of a step that several ranks share
    Metric("slowest_rank_seconds", "slowest", RANKS, ".3g", "×", colour="mark"),
    Metric("fastest_rank_seconds", "fastest", RANKS, ".3g"),
)
VALIDATION = (
    Metric("val_loss", "val", LOSS, marker="○", smooth=False, colour="validation"),
    Metric("val_accuracy", "val", ACCURACY, marker="○", smooth=False, colour="validation"),
)
ANALYSIS = (
    Metric("sharpness", "largest eigenvalue", SHARPNESS, ".4g", smooth=False),
    Metric("stability_limit", "stability limit", SHARPNESS, ".4g", "+", smooth=False, colour="threshold"),
    *(Metric(f"eigenvalue_{place}", f"λ{place}", SHARPNESS, ".4g", smooth=False) for place in range(2, 6)),
    Metric("gradient_cosine", "cosine", COSINE),
    Metric("block_agreement", "mean / rms", AGREEMENT),
    Metric("distance", "distance", DISTANCE, ".4g", smooth=False),
)
DERIVED = (  # what the store makes of what is told
    Metric("clipped_share", "share", CLIPPED, ".0%", smooth=False),
)
METRICS = STEP + OF_RANKS + VALIDATION + ANALYSIS + DERIVED
CHARTS = tuple(dict.fromkeys(metric.chart for metric in METRICS))  # in the order in which they are shown
BY_NAME = {metric.name: metric for metric in METRICS}
HIGHEST_IS_BEST = frozenset({"accuracy", "val_accuracy", "images_per_second", "flop_share"})  # of all others the lowest

# By which a validation is judged: its accuracy, or the loss where targets are numbers.
SCORES = {"val_accuracy": "validation accuracy", "val_loss": "validation loss"}


def score_of(values: Collection[str]) -> str | None:
    """Return the metric by which a validation that tells these is judged; None if it tells neither."""
    return next((name for name in SCORES if name in values), None)


def is_better(name: str, value: float, best: float) -> bool:
    """Say whether a metric's value is better than another."""
    return value > best if name in HIGHEST_IS_BEST else value < best


def show(name: str, value: float | None) -> str:
    """`value` as the metric's format has it; an unknown number is `–`.

    Four decimals are for numbers that have them: a loss of 0.00002 is not 0, one of 1e16 need not be read to its end.
    """
    if value is None:
        return "–"
    form = BY_NAME[name].format if name in BY_NAME else ".4g"
    if form == ".4f" and value and not 5e-4 <= abs(value) < 1e6:
        form = ".4g"
    return format(value, form)
