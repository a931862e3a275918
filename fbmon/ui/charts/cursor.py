"""The moves of the cursor: to a point of a series, to an event; pure."""

import numpy as np

from fbmon.store.notes import Note
from fbmon.store.series import Floats, Series
from fbmon.ui.charts.view import Moment


def moment(points: Series, place: int) -> Moment:
    """The moment of a point; beyond the ends that of the first or the last."""
    place = min(max(place, 0), len(points) - 1)
    return Moment(float(points.steps[place]), float(points.elapsed[place]))


def nearest(x: Floats, at: float) -> int:
    """The point nearest to a place on the axis."""
    right = min(int(np.searchsorted(x, at)), len(x) - 1)
    left = max(right - 1, 0)
    return left if at - x[left] < x[right] - at else right


def moved(x: Floats, at: float, by: float) -> int:
    """The point about `by` farther along the axis, but at least the next one."""
    place = int(np.searchsorted(x, at + by, side="right")) - 1
    if by > 0:
        return max(place, int(np.searchsorted(x, at, side="right")))
    return min(place, int(np.searchsorted(x, at)) - 1)


def next_note(notes: list[Note], step: float | None, direction: int) -> Note | None:
    """The nearest note ahead of a step; without one the last note of all."""
    at = float("inf") if step is None else step
    ahead = [note for note in notes if (note.step - at) * direction > 0] if step is not None else notes
    return min(ahead, key=lambda note: -note.step if step is None else abs(note.step - at), default=None)
