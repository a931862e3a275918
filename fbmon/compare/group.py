"""Runs of the same recipe, or the same anything, as one row: mean ± standard deviation, n."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fbmon.compare.differing import differing
from fbmon.compare.facts import Field, Value
from fbmon.compare.run import Run

_LISTED = 4  # different values in a cell; of more, only the number is shown


@dataclass(frozen=True)
class Spread:
    """The mean of n numbers and their standard deviation (of the sample: n - 1); None of fewer than two."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Group:
    """Runs that have the value of a field in common."""

    value: Value
    runs: tuple[Run, ...]

    @property
    def finished(self) -> tuple[Run, ...]:
        """Return the runs that numbers are averaged over: an unfinished run has no final accuracy."""
        return tuple(run for run in self.runs if run.state == "finished")

    @property
    def mixed(self) -> list[str]:
        """Return the settings, except the seed, in which the averaged runs differ: sd is then not that of seeds."""
        return [name for name in differing(self.finished) if name != "seed"]

    def spread(self, field: Field) -> Spread | None:
        """Return the spread of a number over the finished runs that have it."""
        values = [field.value(run) for run in self.finished]
        return spread_of([float(value) for value in values if isinstance(value, float | int)])

    def texts(self, field: Field) -> str:
        """Return the text of a field that is not a number: each value once; of states, how many runs have each."""
        counts = Counter(field.show(field.value(run)) for run in self.runs)
        if field.name == "state":
            return ", ".join(f"{count} {state}" for state, count in counts.items())
        return ", ".join(counts) if len(counts) <= _LISTED else f"{len(counts)} values"


def group_by(runs: Sequence[Run], field: Field) -> list[Group]:
    """Group the runs by the value of a field, in the order in which the values first occur."""
    groups: dict[Value, list[Run]] = {}
    for run in runs:
        groups.setdefault(field.value(run), []).append(run)
    return [Group(value, tuple(members)) for value, members in groups.items()]


def spread_of(values: Sequence[float]) -> Spread | None:
    """Return the mean and sample standard deviation; None of no values."""
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Spread(mean, None, 1)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return Spread(mean, math.sqrt(squares / (len(values) - 1)), len(values))
