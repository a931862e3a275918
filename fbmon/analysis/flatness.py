"""The flatness of a minimum in three numbers: how far the loss stays low, how steep it is, what a jolt costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from fbmon.analysis.asked import Ascent, Known, Point, Probe, Radius
from fbmon.analysis.record import records
from fbmon.run import RunFolder

THRESHOLD = 0.5  # nats; guessing among ten classes is at 2.3
RHO = 0.05  # SAM's own for CIFAR-10 (Foret et al. 2021, arXiv 2010.01412)
REACH = 0.5  # of the filters' own lengths
DIRECTIONS = 10


@dataclass(frozen=True)
class Measure:
    """The settings of a measurement of flatness."""

    threshold: float = THRESHOLD
    rho: float = RHO
    reach: float = REACH
    directions: int = DIRECTIONS

    def probes(self) -> list[Probe]:
        """Return all probes whose answers the flatness needs."""
        numbers = range(self.directions)
        return [
            Point((0,), (0.0,)),
            Ascent(self.rho),
            *(Point((number,), (self.reach,)) for number in numbers),
            *(Radius(number, self.threshold) for number in numbers),
        ]


@dataclass(frozen=True)
class Flatness:
    """The flatness of a minimum: the numbers of several directions as their mean and standard deviation."""

    loss: float | None
    accuracy: float | None
    radius: float  # the largest perturbation that keeps the loss low
    radius_deviation: float
    sam: float | None  # how much higher the loss is rho uphill
    perturbed_accuracy: float | None  # None where targets are numbers
    perturbed_deviation: float | None


def flatness(answers: Known, measure: Measure) -> Flatness | None:
    """Return the flatness that follows from the answers; None if one is missing or has no value."""
    if any(probe not in answers for probe in measure.probes()):
        return None
    here = answers[Point((0,), (0.0,))]
    numbers = range(measure.directions)
    radii = _known(answers[Radius(number, measure.threshold)]["radius"] for number in numbers)
    perturbed = _known(answers[Point((number,), (measure.reach,))]["accuracy"] for number in numbers)
    has_accuracy = here["accuracy"] is not None
    if len(radii) < measure.directions or len(perturbed) < measure.directions * has_accuracy:
        return None
    loss, uphill = here["loss"], answers[Ascent(measure.rho)]["loss"]
    sam = None if loss is None or uphill is None else uphill - loss
    return Flatness(
        loss, here["accuracy"], *_spread(radii), sam, *(_spread(perturbed) if has_accuracy else (None, None))
    )


def of_run(folder: RunFolder) -> Flatness | None:
    """Return the flatness of the newest checkpoint that was measured in the usual way, for tables."""
    usual = [
        record
        for record in records(folder)
        if (record.setting.data, record.setting.statistics, record.setting.towards) == ("train", "run", "")
    ]
    for record in sorted(usual, key=lambda record: (-record.setting.step, record.setting.seed)):
        if measured := flatness(record.read(), Measure()):
            return measured
    return None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return fmean(values), stdev(values) if len(values) > 1 else 0.0
