"""Several runs as one: their mean, and the band between the least and the greatest, at the steps that all have."""

from functools import reduce

import numpy as np

from fbmon.store.series import Floats, Series


class MeanBand:
    """The mean and the band of some series, kept up with them as they grow.

    A step counts once all have it; where one of the values is unknown, so are the mean and the band.
    """

    def __init__(self, members: tuple[Series, ...]) -> None:
        self.members = members
        self.mean = Series()
        self.low = Series()
        self.high = Series()
        self._done = -np.inf  # the last step that is in the mean

    def update(self) -> None:
        """Take in the steps that all members have reached by now."""
        fresh = [series.steps[np.searchsorted(series.steps, self._done, side="right") :] for series in self.members]
        steps = reduce(np.intersect1d, fresh)
        if not len(steps):
            return
        values = np.stack([series.values[np.searchsorted(series.steps, steps)] for series in self.members])
        elapsed = np.mean([series.elapsed[np.searchsorted(series.steps, steps)] for series in self.members], axis=0)
        self._extend(steps, elapsed, values)
        self._done = steps[-1]

    def _extend(self, steps: Floats, elapsed: Floats, values: Floats) -> None:
        self.mean.extend(steps, elapsed, values.mean(axis=0))
        self.low.extend(steps, elapsed, values.min(axis=0))
        self.high.extend(steps, elapsed, values.max(axis=0))
