"""The charts of metrics: those that are declared, and one for each metric that this version does not know."""

import re
from collections.abc import Iterable

from fbmon import metrics
from fbmon.metrics import Chart, Metric
from fbmon.text import clean

_MOST_UNDECLARED = 24  # charts of metrics that this version does not know


def undeclared(names: Iterable[str]) -> list[Chart]:
    """Return a chart for each metric that this version does not know, up to a number; `a/b` stands beside `a/c`."""
    unknown = [name for name in names if name not in metrics.BY_NAME]
    groups: dict[str, int] = {}
    unknown.sort(key=lambda name: groups.setdefault(name.partition("/")[0], len(groups)))
    return [Chart(name, clean(name, 40)) for name in unknown[:_MOST_UNDECLARED]]


def metrics_of(chart: Chart) -> list[Metric]:
    """Return the metrics of a chart; that of a chart which nobody declared has its name."""
    return [metric for metric in metrics.METRICS if metric.chart == chart] or [Metric(chart.name, chart.title, chart)]


def metric_of(chart: Chart) -> Metric:
    """Return the metric of a chart of one metric alone; one that nobody declared has the chart's name."""
    return metrics.BY_NAME.get(chart.name, Metric(chart.name, chart.title, chart))


def compared(chart: Chart) -> list[Metric]:
    """Return the metrics of a chart that are shown of other runs too: its first one and the validation."""
    shown = metrics_of(chart)
    return [metric for metric in shown if metric is shown[0] or metric in metrics.VALIDATION]


def matching(charts: list[Chart], text: str) -> list[Chart]:
    """Return the charts whose name or title, or a name of whose metrics, has `text` in it, or matches it as a regex."""
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error:
        pattern = re.compile(re.escape(text), re.IGNORECASE)
    return [chart for chart in charts if any(map(pattern.search, _names(chart)))]


def _names(chart: Chart) -> list[str]:
    return [chart.name, chart.title, *(name for metric in metrics_of(chart) for name in (metric.name, metric.label))]
