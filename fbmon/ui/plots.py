"""From the store to the charts of the monitor: which curves, marks and reference lines each one has."""

from fbmon import metrics
from fbmon.chart import Curve, Plot, Reference
from fbmon.metrics import Chart
from fbmon.store import Store

CHARTS = (metrics.LOSS, metrics.ACCURACY, metrics.GRADIENT, metrics.LEARNING_RATE, metrics.SPEED)
DEVICES = "devices"
NAMES = (*(chart.name for chart in CHARTS), DEVICES)


def plots(store: Store) -> dict[str, Plot]:
    """Every chart of the monitor by name, in the order of NAMES; cheap, as curves only refer to the store's series."""
    made = {chart.name: _metric_plot(store, chart) for chart in CHARTS}
    return made | {DEVICES: _device_plot(store)}


def _metric_plot(store: Store, chart: Chart) -> Plot:
    shown = [metric for metric in metrics.METRICS if metric.chart is chart]
    curves = tuple(
        Curve(metric.label, metric.name, series.steps, series)
        for metric in shown
        if (series := store.series.get(metric.name)) is not None
    )
    is_gradient = chart is metrics.GRADIENT
    return Plot(
        title=chart.title,
        curves=curves,
        scale=chart.scale,
        x_range=_steps_in_sight(store),
        references=_references(store, chart),
        marks=store.clipped.steps if is_gradient else None,
        y_format=chart.format,
    )


def _steps_in_sight(store: Store) -> tuple[float, float] | None:
    """From 0 to all steps, or to half, a quarter, ... of them while the curves would fill less than half the chart."""
    if not store.steps:
        return None
    end = float(store.steps)
    while end / 2 >= max(1.1 * store.step, 20):
        end /= 2
    return 0.0, end


def _references(store: Store, chart: Chart) -> tuple[Reference, ...]:
    if store.plan is None:
        return ()
    if chart is metrics.GRADIENT and store.plan.clip_norm is not None:
        return (Reference(store.plan.clip_norm, "clip", "threshold"),)
    if chart is metrics.ACCURACY and store.plan.target_val_accuracy is not None:
        return (Reference(store.plan.target_val_accuracy, "reported", "target"),)
    return ()


def _device_plot(store: Store) -> Plot:
    curves = []
    for number, device in enumerate(store.utilization):
        memory = store.memory[device]
        curves.append(Curve(f"{device} memory", f"memory_{number % 2}", memory.elapsed, memory))
        busy = store.utilization[device]
        curves.append(Curve(f"{device} busy", f"busy_{number % 2}", busy.elapsed, busy))
    seconds = max((float(curve.x[-1]) for curve in curves if len(curve.x)), default=1.0)
    return Plot(
        title="devices, % over seconds",
        curves=tuple(curves),
        x_range=(0.0, max(seconds, 1.0)),
        y_range=(0.0, 100.0),
        y_format=".0f",
    )
