"""From the store to the charts of the monitor: which curves, marks and reference lines each one has."""

from collections.abc import Iterator
from typing import NamedTuple

from fbmon import metrics
from fbmon.chart import Band, Curve, Plot, Reference, Signs
from fbmon.chart.axes import Axis
from fbmon.chart.columns import in_sight, value_at
from fbmon.chart.group import Group
from fbmon.metrics import Chart, Metric
from fbmon.series import Series
from fbmon.store import Store
from fbmon.text import clean
from fbmon.ui.across import X_UNITS, Across
from fbmon.ui.devices_plot import DEVICES, device_curves
from fbmon.ui.runs import Other
from fbmon.ui.signs import SIGNS, Places
from fbmon.ui.view import Extent, View, sight

_MOST_UNDECLARED = 24  # charts of metrics that this version does not know


class Count(NamedTuple):
    """Of the points of a chart's own curves: how many are drawn, how many there are, how many are not finite."""

    drawn: int
    all: int
    unknown: int


class Plots:
    """The charts of one run, and of the others over it. What it has worked out is kept from frame to frame."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.others: list[Other] = []
        self._across: dict[int, Across] = {}
        self._groups: dict[str, Group] = {}
        self._places = Places()

    def charts(self) -> list[Chart]:
        """Those that have a curve; before the first step those that every run will have."""
        if not self.store.series:
            return [*dict.fromkeys(metric.chart for metric in metrics.STEP), DEVICES]
        told = self.store.series
        declared = [chart for chart in metrics.CHARTS if any(metric.name in told for metric in _metrics_of(chart))]
        unknown = [name for name in told if name not in metrics.BY_NAME][:_MOST_UNDECLARED]
        return [*declared, *(Chart(name, clean(name, 40)) for name in unknown), DEVICES]

    def across(self, view: View, store: Store | None = None) -> Across:
        """The x-axis of a run."""
        store = self.store if store is None else store
        known = self._across.get(id(store))
        if known is None or known.axis != view.axis:
            known = self._across[id(store)] = Across(store, view.axis)
        return known

    def extent(self, view: View) -> Extent:
        """The whole x-axis: that of the run on the screen, or of one over it that has come farther."""
        extents = [self.across(view, store).extent() for store in self._stores()]
        low, high = min(one.low for one in extents), max(one.high for one in extents)
        return extents[0]._replace(low=low, high=high)

    def plot(self, chart: Chart, view: View, *, whole: bool = False) -> Plot:
        """A chart as the view asks for it; cheap, as curves only refer to series.

        `whole` has the other runs in its legend too: it stands alone; elsewhere a line under the charts names them.
        """
        across = self.across(view)
        self._places.update(self.store.notes)
        own = [*self._own_curves(chart, view)]
        curves = [*own, *self._other_curves(chart, view, named=whole)]
        cursor = None if view.cursor is None else across.at(view.cursor)
        return Plot(
            title=chart.title if view.cursor is None else f"{chart.title} @ {view.cursor.step:.0f}",
            curves=tuple(curves),
            scale=view.scales.get(chart.name, chart.scale),
            x_range=sight(view, self.extent(view)),
            y_range=(0.0, 100.0) if chart is DEVICES else None,
            references=_references(self.store, chart),
            marks=across.x(self.store.clipped) if chart is metrics.GRADIENT else None,
            y_format=chart.format,
            signs=(*self._places.signs(chart, across, view.events), *self._gaps(chart, across)),
            bands=tuple(self._bands(chart, view)),
            cursor=cursor,
            x_unit=X_UNITS[view.axis],
        )

    def count(self, chart: Chart, view: View) -> Count:
        """How many of the run's points the chart shows."""
        across = self.across(view)
        horizontal = Axis(*sight(view, self.extent(view)))
        scale = view.scales.get(chart.name, chart.scale)
        series = [one for _, one in self._series_of(chart)] or [
            series for device in (self.store.utilization, self.store.memory) for series in device.values()
        ]
        drawn = sum(in_sight(Curve("", "", across.x(one), one), horizontal, scale) for one in series)
        return Count(drawn, sum(map(len, series)), sum(len(one.unknown()) for one in series))

    def values(self, chart: Chart, view: View) -> list[tuple[str, float | None]]:
        """What stands at the cursor: each curve's label and the value of its last point up to there."""
        if view.cursor is None:
            return []
        at, across = self.across(view).at(view.cursor), self.across(view)
        return [(metric.label, value_at(across.x(one), one, at)) for metric, one in self._series_of(chart)]

    def points(self, chart: Chart) -> Series | None:
        """Those that a cursor steps along; None where there are none yet."""
        series = [one for _, one in self._series_of(chart)] or [*self.store.utilization.values()]
        return next((one for one in series if len(one)), None)

    def _stores(self) -> list[Store]:
        return [self.store, *(other.store for other in self.others)]

    def _series_of(self, chart: Chart) -> list[tuple[Metric, Series]]:
        series = self.store.series
        return [(metric, series[metric.name]) for metric in _metrics_of(chart) if metric.name in series]

    def _own_curves(self, chart: Chart, view: View) -> Iterator[Curve]:
        across = self.across(view)
        if chart is DEVICES:
            yield from device_curves(self.store, across)
        for metric, series in self._series_of(chart):
            if (group := self._group(metric, chart, view)) is not None:
                yield Curve(metric.label, metric.name, across.x(series), series, dim=True, named=False)
                members = f"{metric.label}, mean of {len(group.members)}"
                yield Curve(members, metric.name, across.x(group.mean), group.mean, metric.marker)
                continue
            x = across.x(series)
            if not (metric.smooth and view.smoothing):
                yield Curve(metric.label, metric.name, x, series, metric.marker)
                continue
            yield Curve(metric.label, metric.name, x, series, dim=True, named=False)
            smoothed = across.smoothed(series, view.smoothing)
            yield Curve(metric.label, metric.name, x, smoothed, metric.marker, values=series)

    def _other_curves(self, chart: Chart, view: View, *, named: bool) -> Iterator[Curve]:
        for number, other in enumerate(self.others):
            if view.grouped and other.is_seed:
                continue
            across = self.across(view, other.store)
            for place, metric in enumerate(_compared(chart)):
                series = other.store.series.get(metric.name)
                if series is not None:
                    label = clean(other.name, 24) + (f" {metric.label}" if place else "")
                    x, role = across.x(series), f"other_{number % 4}"
                    yield Curve(label, role, x, series, other.marker, dim=True, named=named and not place)

    def _bands(self, chart: Chart, view: View) -> Iterator[Band]:
        for metric, _ in self._series_of(chart):
            if (group := self._group(metric, chart, view)) is not None:
                yield Band(f"{metric.name} dim", self.across(view).x(group.mean), group.low, group.high)

    def _group(self, metric: Metric, chart: Chart, view: View) -> Group | None:
        """The run on the screen and its other seeds; None where there are none or they stand for themselves."""
        seeds = [other.store.series.get(metric.name) for other in self.others if other.is_seed]
        series = [self.store.series[metric.name], *(one for one in seeds if one is not None)]
        if not view.grouped or len(series) < 2 or metric not in _compared(chart):
            return None
        known = self._groups.get(metric.name)
        if known is None or [id(one) for one in known.members] != [id(one) for one in series]:
            known = self._groups[metric.name] = Group(tuple(series))
        known.update()
        return known

    def _gaps(self, chart: Chart, across: Across) -> Iterator[Signs]:
        for _, series in self._series_of(chart):
            if len(unknown := series.unknown()):
                yield Signs(across.x(series)[unknown], SIGNS["nonfinite"], "nonfinite")


def _metrics_of(chart: Chart) -> list[Metric]:
    return [metric for metric in metrics.METRICS if metric.chart == chart] or [Metric(chart.name, chart.title, chart)]


def _compared(chart: Chart) -> list[Metric]:
    """What of a chart is shown of other runs too: its first metric and the validation."""
    shown = _metrics_of(chart)
    return [metric for metric in shown if metric is shown[0] or metric in metrics.VALIDATION]


def _references(store: Store, chart: Chart) -> tuple[Reference, ...]:
    if store.plan is None:
        return ()
    if chart is metrics.GRADIENT and store.plan.clip_norm is not None:
        return (Reference(store.plan.clip_norm, "clip", "threshold"),)
    target = store.plan.target_val_accuracy
    if chart is metrics.ACCURACY and target is not None:
        distance = f", best {store.best.value - target:+.4f}" if store.best else ""
        return (Reference(target, f"reported {target:.4g}{distance}", "target"),)
    return ()
