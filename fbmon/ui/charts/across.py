"""The points that run across a chart: those of a run on the chosen x-axis, as arrays that grow with the series."""

import numpy as np

from fbmon.chart.plot import XUnit
from fbmon.chart.smooth import Smoothed
from fbmon.store.series import Floats, GrowingArray, Series
from fbmon.store.store import Store
from fbmon.ui.charts.view import AxisName, Extent, Moment

X_LABELS: dict[AxisName, str] = {
    "step": "step", "elapsed": "time since the start", "clock": "time of day", "passes": "passes over the data",
}  # fmt: skip
X_UNITS: dict[AxisName, XUnit] = {"step": "number", "elapsed": "span", "clock": "clock", "passes": "number"}
_LEAST: dict[AxisName, float] = {"step": 4.0, "elapsed": 1.0, "clock": 1.0, "passes": 4.0}
_FULL = 1.1  # a chart is more than half full once a tenth more steps than those taken do not fit into half of it


class Across:
    """One run on one axis. What it has worked out is kept: only new points cost anything."""

    def __init__(self, store: Store, axis: AxisName) -> None:
        self.store = store
        self.axis = axis
        self._columns: dict[int, tuple[Series, GrowingArray]] = {}  # with the series, so that its id stays its own
        self._smoothed: dict[int, Smoothed] = {}

    def x(self, series: Series) -> Floats:
        """Return where the points of a series of this run stand; ascending."""
        if self.axis in ("step", "elapsed"):
            return series.steps if self.axis == "step" else series.elapsed
        if id(series) not in self._columns:
            self._columns[id(series)] = series, GrowingArray()
        _, column = self._columns[id(series)]
        done = len(column)
        column.extend(self._place(series.steps[done:], series.elapsed[done:]))
        return column.view()

    def smoothed(self, series: Series, weight: float) -> Series:
        """Return its average, kept up while the weight stays the same."""
        average = self._smoothed.get(id(series))
        if average is None or average.weight != weight:
            average = self._smoothed[id(series)] = Smoothed(series, weight)
        return average.update()

    def at(self, moment: Moment) -> float:
        return float(self.places(np.array([moment.step]), np.array([moment.elapsed]))[0])

    def places(self, steps: Floats, elapsed: Floats) -> Floats:
        """Return where moments of the run stand."""
        if self.axis in ("step", "elapsed"):
            return steps if self.axis == "step" else elapsed
        return self._place(steps, elapsed)

    def extent(self) -> Extent:
        """All of the run; of one that is going on, as much of what is to come as there is of what was."""
        least = _LEAST[self.axis]
        if self.axis == "step" or self.axis == "passes":
            more = len(self.store.repeats) if self.axis == "passes" else 0
            end, high = float(self.store.step + more), float(self.store.steps + more)
            while high / 2 >= max(_FULL * end, 20):
                high /= 2
            return Extent(0.0, max(high, end, 1.0), end, least)
        newest = max([self.store.elapsed, *(float(s.elapsed[-1]) for s in self.store.utilization.values() if len(s))])
        low, high = self._place(np.zeros(2), np.array([0.0, max(newest, 1.0)])).tolist()
        return Extent(low, high, high, least)

    def _place(self, steps: Floats, elapsed: Floats) -> Floats:
        if self.axis == "passes":
            return steps + np.searchsorted(np.array(self.store.repeats, float), steps, side="right")
        if self.axis == "clock" and self.store.clocks:
            since, offsets = np.array(self.store.clocks).T
            session = np.maximum(np.searchsorted(since, elapsed, side="right") - 1, 0)
            return np.asarray(elapsed + offsets[session])
        return elapsed
