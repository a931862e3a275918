"""The moves of the cursor: to a point of the series that it steps along, to an event; pure."""

import numpy as np

from fbmon.metrics import Chart
from fbmon.store.notes import Note
from fbmon.store.series import Floats, Series
from fbmon.ui.charts import view as views
from fbmon.ui.charts.curves import Curves
from fbmon.ui.charts.view import Moment, View


def moved_by(curves: Curves, chart: Chart, view: View, columns: int, width: int) -> Moment | None:
    """Return the cursor moved by columns of dots in a chart of `width` cells, but at least to the next point."""
    points, at = curves.points(chart), view.cursor
    if points is None or at is None:
        return newest_in_sight(curves, chart, view)
    across, (low, high) = curves.across(view), views.sight(view, curves.extent(view))
    dots = 2 * max(1, width)
    return moment(points, moved(across.x(points), across.at(at), columns * (high - low) / dots))


def newest_in_sight(curves: Curves, chart: Chart, view: View) -> Moment | None:
    """Return the newest point in sight; None if there is no point."""
    return nearest_to(curves, chart, view, views.sight(view, curves.extent(view))[1])


def nearest_to(curves: Curves, chart: Chart, view: View, x: float) -> Moment | None:
    """Return the point nearest to a place on the axis; None if there is no point."""
    points = curves.points(chart)
    return None if points is None else moment(points, nearest(curves.across(view).x(points), x))


def end(curves: Curves, chart: Chart, direction: int) -> Moment | None:
    """Return the first or the last point; None if there is no point."""
    points = curves.points(chart)
    return None if points is None else moment(points, 0 if direction < 0 else len(points))


def moment(points: Series, index: int) -> Moment:
    """Return the moment of a point; beyond the ends that of the first or the last."""
    index = min(max(index, 0), len(points) - 1)
    return Moment(float(points.steps[index]), float(points.elapsed[index]))


def nearest(x: Floats, at: float) -> int:
    """Return the index of the point nearest to a place on the axis."""
    right = min(int(np.searchsorted(x, at)), len(x) - 1)
    left = max(right - 1, 0)
    return left if at - x[left] < x[right] - at else right


def moved(x: Floats, at: float, by: float) -> int:
    """Return the index of the point about `by` farther along the axis, but at least the next one."""
    index = int(np.searchsorted(x, at + by, side="right")) - 1
    if by > 0:
        return max(index, int(np.searchsorted(x, at, side="right")))
    return min(index, int(np.searchsorted(x, at)) - 1)


def next_note(notes: list[Note], step: float | None, direction: int) -> Note | None:
    """Return the nearest note ahead of a step; without one the last note of all."""
    at = float("inf") if step is None else step
    ahead = [note for note in notes if (note.step - at) * direction > 0] if step is not None else notes
    return min(ahead, key=lambda note: -note.step if step is None else abs(note.step - at), default=None)
