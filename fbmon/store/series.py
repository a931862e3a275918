"""One metric over the run: append-only columns that know their minimum and maximum over any stretch of points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FAN = 8  # nodes of the pyramid below one: with 2 a question costs 1.4 times as much, in more and smaller steps
_NEAR = np.arange(1, FAN)
_SETTLE_EVERY = 1000  # points


class GrowingArray:
    """Numbers that only ever grow in count; `view()` is valid until the next append. None is kept as NaN."""

    def __init__(self) -> None:
        self._store: Floats = np.empty(64)
        self._length = 0
        # A list takes a number in a quarter of the time that an array does: they move over when someone looks.
        self._arrived: list[float | None] = []
        self.append = self._arrived.append

    def __len__(self) -> int:
        return self._length + len(self._arrived)

    def extend(self, values: Floats) -> None:
        self.settle()
        self._add(values)

    def view(self) -> Floats:
        self.settle()
        return self._store[: self._length]

    def settle(self) -> None:
        """Move what has arrived from the list, where a number takes four times the memory, to the array."""
        if self._arrived:
            self._add(np.array(self._arrived, np.float64))
            self._arrived.clear()

    def _add(self, values: Floats) -> None:
        end = self._length + len(values)
        if end > len(self._store):
            larger = np.empty(max(end, 2 * len(self._store)))
            larger[: self._length] = self._store[: self._length]
            self._store = larger
        self._store[self._length : end] = values
        self._length = end


class Series:
    """Points (step, elapsed, value) in the order of their arrival; an unknown value is NaN.

    `extent` answers from a pyramid: level l holds the minimum and maximum of 8^l neighbours, so that a question costs
    the logarithm of the number of points, and a chart of w columns costs the same for a thousand points and a million.
    """

    def __init__(self) -> None:
        self._steps = GrowingArray()
        self._elapsed = GrowingArray()
        values = GrowingArray()
        self._levels = [(values, values)]  # (minima, maxima); at level 0 both are the values
        self._unsettled = 0
        self._built = 0  # points that the levels above 0 know of
        self._unknown = GrowingArray()
        self._looked = 0  # points of which it is known whether they are unknown

    def __len__(self) -> int:
        return len(self._steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Series):
            return NotImplemented
        return (
            np.array_equal(self.steps, other.steps)
            and np.array_equal(self.elapsed, other.elapsed)
            and np.array_equal(self.values, other.values, equal_nan=True)
        )

    __hash__: Any = None

    def append(self, step: float, elapsed: float, value: float | None) -> None:
        self._steps.append(step)
        self._elapsed.append(elapsed)
        self._levels[0][0].append(value)
        self._unsettled += 1
        if self._unsettled == _SETTLE_EVERY:
            self._settle()

    def _settle(self) -> None:
        self._unsettled = 0
        for column in (self._steps, self._elapsed, self._levels[0][0]):
            column.settle()

    def extend(self, steps: Floats, elapsed: Floats, values: Floats) -> None:
        """Append many points at once; an unknown value is NaN."""
        self._steps.extend(steps)
        self._elapsed.extend(elapsed)
        self._levels[0][0].extend(values)

    def until(self, step: int) -> "Series":
        """A new series of the points up to this step; their steps ascend."""
        return self.first(int(np.searchsorted(self.steps, step, side="right")))

    def first(self, count: int) -> "Series":
        """A new series of so many points, from the first on; of all but as many if it is negative."""
        series = Series()
        series.extend(self.steps[:count], self.elapsed[:count], self.values[:count])
        return series

    @property
    def steps(self) -> Floats:
        return self._steps.view()

    @property
    def elapsed(self) -> Floats:
        return self._elapsed.view()

    @property
    def values(self) -> Floats:
        return self._levels[0][0].view()

    def optional_values(self) -> list[float | None]:
        """Return the values as they were told: None where one is unknown."""
        return [None if value != value else value for value in self.values.tolist()]

    def last(self) -> float | None:
        """The newest value; None if there is none or it is unknown."""
        return None if not len(self) or np.isnan(self.values[-1]) else float(self.values[-1])

    def unknown(self) -> Indices:
        """The steps of the unknown values, ascending."""
        if self._looked < len(self):
            self._unknown.extend(
                self._looked + np.flatnonzero(np.isnan(self.values[self._looked :])).astype(np.float64)
            )
            self._looked = len(self)
        return self._unknown.view().astype(np.intp)

    def extent(self, start: Indices, stop: Indices) -> tuple[Floats, Floats]:
        """Minimum and maximum of the values at [start[i], stop[i]) for each i; NaN where there is no known value."""
        self._build()
        low, high = np.full(len(start), np.nan), np.full(len(start), np.nan)
        stop = np.maximum(stop, start)
        for minima, maxima in self._levels:
            if not (start < stop).any():
                break
            # The middle is made of whole parents and left to them; fewer than FAN nodes are left over at either end.
            middle = np.minimum(-(-start // FAN) * FAN, stop)
            end = np.maximum(stop // FAN * FAN, middle)
            left, right = middle[:, np.newaxis], end[:, np.newaxis]
            nodes = np.concatenate((left - _NEAR, right + _NEAR - 1), axis=1)
            outside = np.concatenate((left - _NEAR < start[:, np.newaxis], right + _NEAR > stop[:, np.newaxis]), axis=1)
            nodes[outside] = 0
            low = np.fmin(low, _reduce(np.fmin, minima, nodes, outside))
            high = np.fmax(high, _reduce(np.fmax, maxima, nodes, outside))
            start, stop = middle // FAN, np.maximum(end, middle) // FAN
        return low, high

    def _build(self) -> None:
        if self._built == len(self):
            return
        self._built, level = len(self), 0
        while len(self._levels[level][0]) >= FAN:
            if level + 1 == len(self._levels):
                self._levels.append((GrowingArray(), GrowingArray()))
            below, above = self._levels[level], self._levels[level + 1]
            fresh = slice(FAN * len(above[0]), len(below[0]) // FAN * FAN)
            minima, maxima = (column.view()[fresh].reshape(-1, FAN) for column in below)
            above[0].extend(np.fmin.reduce(minima, axis=1))
            above[1].extend(np.fmax.reduce(maxima, axis=1))
            level += 1


def append(
    curves: dict[str, Series],
    steps: Sequence[float],
    elapsed: Sequence[float],
    columns: Mapping[str, Sequence[float | None]],
) -> None:
    """Append to the curves by their names what was told at some steps, one step as well as many; None is unknown."""
    for name in columns:
        if name not in curves:
            curves[name] = Series()
    if len(steps) == 1:  # to make an array takes as long as ten numbers
        for name, (value,) in columns.items():
            curves[name].append(steps[0], elapsed[0], value)
        return
    at, when = np.array(steps, np.float64), np.array(elapsed, np.float64)
    for name, column in columns.items():
        curves[name].extend(at, when, np.array(column, np.float64))


def _reduce(function: np.ufunc, column: GrowingArray, nodes: Indices, outside: NDArray[np.bool_]) -> Floats:
    values = column.view()[nodes]
    values[outside] = np.nan
    return np.asarray(function.reduce(values, axis=1))
