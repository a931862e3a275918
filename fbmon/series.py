"""One metric over the run: append-only columns that know their minimum and maximum over any stretch of points."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Column:
    """Numbers that only ever grow in count; `view()` is valid until the next append."""

    def __init__(self) -> None:
        self._store: Floats = np.empty(64)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, value: float) -> None:
        if self._length == len(self._store):
            self._grow(self._length + 1)
        self._store[self._length] = value
        self._length += 1

    def extend(self, values: Floats) -> None:
        end = self._length + len(values)
        if end > len(self._store):
            self._grow(end)
        self._store[self._length : end] = values
        self._length = end

    def view(self) -> Floats:
        return self._store[: self._length]

    def _grow(self, least: int) -> None:
        larger = np.empty(max(least, 2 * len(self._store)))
        larger[: self._length] = self.view()
        self._store = larger


class Series:
    """Points (step, elapsed, value) in the order of their arrival; an unknown value is NaN.

    `extent` answers from a pyramid: level l holds the minimum and maximum of 2^l neighbours, so that a question costs
    the logarithm of the number of points, and a chart of w columns costs the same for a thousand points and a million.
    """

    def __init__(self) -> None:
        self._steps = Column()
        self._elapsed = Column()
        values = Column()
        self._levels = [(values, values)]  # (minima, maxima); at level 0 both are the values

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
        self._levels[0][0].append(np.nan if value is None else value)

    def until(self, step: int) -> "Series":
        """A new series of the points up to this step; their steps ascend."""
        count = int(np.searchsorted(self.steps, step, side="right"))
        series = Series()
        series._steps.extend(self.steps[:count])
        series._elapsed.extend(self.elapsed[:count])
        series._levels[0][0].extend(self.values[:count])
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

    def last(self) -> float | None:
        """The newest value; None if there is none or it is unknown."""
        return None if not len(self) or np.isnan(self.values[-1]) else float(self.values[-1])

    def extent(self, start: Indices, stop: Indices) -> tuple[Floats, Floats]:
        """Minimum and maximum of the values at [start[i], stop[i]) for each i; NaN where there is no known value."""
        self._build()
        low = np.full(len(start), np.nan)
        high = np.full(len(start), np.nan)
        start, stop = start.copy(), np.maximum(stop, start)
        for minima, maxima in self._levels:
            if not (start < stop).any():
                break
            _fold(low, high, minima, maxima, start, (start < stop) & (start % 2 == 1))
            start += start % 2
            odd_end = (start < stop) & (stop % 2 == 1)
            _fold(low, high, minima, maxima, stop - 1, odd_end)
            stop -= stop % 2
            start //= 2
            stop //= 2
        return low, high

    def _build(self) -> None:
        level = 0
        while len(self._levels[level][0]) >= 2:
            if level + 1 == len(self._levels):
                self._levels.append((Column(), Column()))
            below, above = self._levels[level], self._levels[level + 1]
            done, pairs = len(above[0]), len(below[0]) // 2
            above[0].extend(np.fmin.reduce(below[0].view()[2 * done : 2 * pairs].reshape(-1, 2), axis=1))
            above[1].extend(np.fmax.reduce(below[1].view()[2 * done : 2 * pairs].reshape(-1, 2), axis=1))
            level += 1


def _fold(low: Floats, high: Floats, minima: Column, maxima: Column, nodes: Indices, where: NDArray[np.bool_]) -> None:
    low[where] = np.fmin(low[where], minima.view()[nodes[where]])
    high[where] = np.fmax(high[where], maxima.view()[nodes[where]])
