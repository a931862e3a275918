"""The exponential moving average that TensorBoard draws, kept up with a series that grows."""

import numpy as np

from fbmon.store.series import Floats, Series

BITS = 40  # of a smoothed value, twelve digits
CHUNK = 64  # neighbours that are smoothed by a matrix product; from chunk to chunk goes a loop


class Smoothed:
    """The debiased average of a series: y = Σ w^(n-i) (1-w) x_i / (1 - w^n) over its known values.

    An unknown value stays unknown and moves nothing. `weight` is in [0, 1), as TensorBoard's smoothing is.
    """

    def __init__(self, source: Series, weight: float) -> None:
        self.source = source
        self.weight = weight
        self.series = Series()
        self._average = 0.0  # not debiased
        self._count = 0  # known values behind it

    def update(self) -> Series:
        """Return the smoothed series, as long as its source is now."""
        done = len(self.series)
        if done < len(self.source):
            values = self.source.values[done:]
            is_known = ~np.isnan(values)
            smooth = np.full(len(values), np.nan)
            smooth[is_known] = self._follow(values[is_known])
            self.series.extend(self.source.steps[done:], self.source.elapsed[done:], smooth)
        return self.series

    def _follow(self, values: Floats) -> Floats:
        whole = len(values) - len(values) % CHUNK
        parts = [values[:whole].reshape(-1, CHUNK), values[whole:].reshape(1, -1)]
        averages = np.concatenate([self._chunks(part).ravel() for part in parts if part.size] or [np.empty(0)])
        counts = self._count + np.arange(1, len(values) + 1)
        self._count += len(values)
        return _rounded(np.asarray(averages / (1 - self.weight**counts)))

    def _chunks(self, values: Floats) -> Floats:
        """Return the average behind each value, a row per chunk: the fading sum within it, plus the fading past."""
        ages = np.arange(values.shape[1])
        fading = np.tril(self.weight ** np.abs(ages[:, np.newaxis] - ages))
        within = (1 - self.weight) * (values @ fading.T)
        fade, before = self.weight ** len(ages), []
        for end in within[:, -1].tolist():
            before.append(self._average)
            self._average = self._average * fade + end
        return np.asarray(within + np.array(before)[:, np.newaxis] * self.weight ** (ages + 1))


def _rounded(values: Floats) -> Floats:
    """Round off the last bits, which hang on the processor: a constant of 1 stays 1, and its axis ends there."""
    mantissas, exponents = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(mantissas * 2**BITS), exponents - BITS))
