"""The curves of a board: what it needs of a run, or of many, to draw charts and to move a cursor along them."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from fbmon.chart import Plot
from fbmon.metrics import Chart
from fbmon.store.notes import Note
from fbmon.store.series import Series
from fbmon.store.store import Store
from fbmon.ui.charts.across import Across
from fbmon.ui.charts.view import Extent, View


class Count(NamedTuple):
    """The points of the run on the screen: how many are drawn, how many there are, how many are not finite."""

    drawn: int
    all: int
    unknown: int


class Curves(Protocol):
    """The interface of what a board draws; one run leads, along whose points the cursor steps."""

    def charts(self) -> list[Chart]:
        """Return the charts that have a curve, or before there is one those that will have."""

    def plot(self, chart: Chart, view: View, *, alone: bool) -> Plot:
        """Return a chart as the view asks for it; one that stands `alone` names all its curves."""

    def count(self, chart: Chart, view: View) -> Count:
        """Return how many of a chart's points are in sight."""

    def values(self, chart: Chart, view: View) -> list[tuple[str, float | None]]:
        """Return the labels and values at the cursor."""

    def points(self, chart: Chart) -> Series | None:
        """Return the series that the cursor steps along; None if it has no points yet."""

    def across(self, view: View) -> Across:
        """Return the x-axis of the run that leads."""

    def extent(self, view: View) -> Extent:
        """Return the whole x-axis."""

    def notes(self) -> list[Note]:
        """Return what happened in the run whose events are listed."""


class Axes:
    """The x-axes of several runs, kept from frame to frame."""

    def __init__(self) -> None:
        self._across: dict[int, Across] = {}

    def across(self, store: Store, view: View) -> Across:
        """Return the x-axis of a run."""
        axis = self._across.get(id(store))
        if axis is None or axis.axis != view.axis:
            axis = self._across[id(store)] = Across(store, view.axis)
        return axis

    def keep(self, stores: Iterable[Store]) -> None:
        """Forget the axes of all other runs."""
        kept = {id(store) for store in stores}
        self._across = {key: axis for key, axis in self._across.items() if key in kept}
