"""The part of a run that is in sight, and how: what the keys change; pure, and the same for all charts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

from fbmon.metrics import Scale

AxisName = Literal["step", "elapsed", "clock", "passes"]
Events = Literal["main", "all", "none"]

AXES: tuple[AxisName, ...] = get_args(AxisName)
EVENTS: tuple[Events, ...] = get_args(Events)
SMOOTHINGS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
ZOOM = 2.0
PAN = 0.25  # of what is in sight
TAIL = 0.25  # of what there is, when a view of everything begins to follow


class Moment(NamedTuple):
    """A place in a run, on any axis."""

    step: float
    elapsed: float


class Extent(NamedTuple):
    """The extent of an x-axis: its ends when all is in sight, the newest point, and the shortest stretch to show."""

    low: float
    high: float
    end: float
    least: float


@dataclass(frozen=True)
class View:
    """The view of a run."""

    axis: AxisName = "step"
    span: tuple[float, float] | None = None  # None: everything
    follows: bool = False  # the span moves along with the newest point
    smoothing: float = 0.6  # TensorBoard's default
    scales: Mapping[str, Scale] = field(default_factory=dict)  # of charts whose scale was changed
    cursor: Moment | None = None
    events: Events = "main"
    grouped: bool = False
    filter: str = ""  # of the charts; empty shows all


def sight(view: View, extent: Extent) -> tuple[float, float]:
    """The ends of the x-axis."""
    if view.span is None:
        return extent.low, extent.high
    length = view.span[1] - view.span[0]
    end = max(extent.end, extent.low + length)
    return (end - length, end) if view.follows else view.span


def zoom(view: View, extent: Extent, factor: float, about: float | None) -> View:
    """Show a stretch shorter by `factor` around `about`; without it around the middle of the points in sight."""
    low, high = sight(view, extent)
    length = max((high - low) / factor, extent.least)
    if length >= extent.high - extent.low:
        return fit(view)
    if about is None or not low <= about <= high:
        about = high if view.follows else (low + min(high, max(extent.end, low))) / 2
    start = about - (about - low) * length / (high - low)
    return _at(view, extent, start, length)


def pan(view: View, extent: Extent, share: float) -> View:
    """Move by a share of what is in sight, to the right if positive; never away from the run."""
    low, high = sight(view, extent)
    if view.span is None:
        return view
    return _at(replace(view, follows=False), extent, low + share * (high - low), high - low)


def fit(view: View) -> View:
    """Show everything."""
    return replace(view, span=None, follows=False)


def follow(view: View, extent: Extent) -> View:
    """Keep the newest point at the right end, or stop doing so."""
    if view.follows:
        return replace(view, span=sight(view, extent), follows=False)
    low, high = sight(view, extent)
    length = high - low if view.span else max(TAIL * (extent.end - extent.low), extent.least)
    return replace(view, span=(extent.end - length, extent.end), follows=True)


def bring_in(view: View, extent: Extent, x: float) -> View:
    """Pan just so far that `x` is in sight."""
    low, high = sight(view, extent)
    if view.span is None or low <= x <= high:
        return view
    return _at(replace(view, follows=False), extent, x - (high - low) / 2, high - low)


def smooth(view: View, change: int) -> View:
    """The next stronger or weaker smoothing; 0 is none."""
    if not change:
        return replace(view, smoothing=0.0)
    nearest = min(range(len(SMOOTHINGS)), key=lambda index: abs(SMOOTHINGS[index] - view.smoothing))
    return replace(view, smoothing=SMOOTHINGS[min(max(nearest + change, 0), len(SMOOTHINGS) - 1)])


def next_axis(view: View) -> View:
    """The same run over another quantity; the stretch in sight has no meaning there."""
    return replace(fit(view), axis=AXES[(AXES.index(view.axis) + 1) % len(AXES)])


def next_events(view: View) -> View:
    return replace(view, events=EVENTS[(EVENTS.index(view.events) + 1) % len(EVENTS)])


def _at(view: View, extent: Extent, start: float, length: float) -> View:
    start = max(min(start, extent.high - length), extent.low)
    return replace(view, span=(start, start + length))
