"""The axes that a plot needs: those it asks for, or those on which all that is in sight has its place."""

from collections.abc import Iterable

import numpy as np

from fbmon.chart.axes import Axis, exactly, fit, to_units
from fbmon.chart.dot_columns import DotTrace
from fbmon.chart.plot import Plot
from fbmon.metrics import Scale


def horizontal_axis(plot: Plot) -> Axis | None:
    """Return the x-axis; None if there is neither a range nor a point."""
    ends = [float(curve.x[end]) for curve in plot.curves if len(curve.x) for end in (0, -1)]
    return _asked(plot.x_range, "linear") or (_asked((min(ends), max(ends)), "linear") if ends else None)


def vertical_axis(plot: Plot, traces: Iterable[DotTrace]) -> Axis | None:
    """Return the y-axis for all curves in sight and all references; None where no number is known."""
    return _asked(plot.y_range, plot.scale) or _fitted(plot, traces)


def _asked(ends: tuple[float, float] | None, scale: Scale) -> Axis | None:
    """Return the axis with exactly these ends; None if none are given, or the scale cannot show them."""
    if ends is None:
        return None
    low, high = to_units(np.array(ends, float), scale).tolist()
    return exactly(low, high, scale) if low <= high else None


def _fitted(plot: Plot, traces: Iterable[DotTrace]) -> Axis | None:
    levels = to_units(np.array([reference.value for reference in plot.references], float), plot.scale)
    units = np.array([*levels, *(end for trace in traces for end in trace.reach())])
    finite = units[np.isfinite(units)]
    return fit(float(finite.min()), float(finite.max()), plot.scale) if len(finite) else None
