"""The first row of a chart: its title, and each curve's name and latest value as far as there is room."""

from fbmon.chart.canvas import Run
from fbmon.chart.columns import last_known, value_at
from fbmon.chart.layers import role_of
from fbmon.chart.plot import Curve, Plot

TITLE = "title"
GAP = 2


def legend(plot: Plot, width: int) -> list[Run]:
    """The entries in the fullest wording that fits beside the title; else those that fit in the shortest.

    Every curve named matters more than its last digit, and that more than its value; at a cursor the digits matter
    more than the names.
    """
    room = width - len(plot.title)
    wordings = [_entries(plot, wording) for wording in _wordings(plot)]
    return next((entries for entries in wordings if _width(entries) <= room), _fitting(wordings[-1], room))


def _wordings(plot: Plot) -> list[str]:
    named = [curve for curve in plot.curves if curve.named]
    are_marked = any(curve.marker for curve in named)
    fullest = ["{marker} {label} {value}", "{label} {value}"]
    if len(named) == 1:
        return [*fullest, "{value}"]
    bare = ["{marker} {value}", "{marker} {short}"] if are_marked and plot.cursor is not None else []
    return [*fullest, *bare, "{label} {short}", "{marker} {label}" if are_marked else "{label}"]


def title(plot: Plot, width: int) -> Run:
    fits = len(plot.title) <= width
    return Run(plot.title if fits else plot.title[: max(width - 1, 0)] + "…", TITLE)


def _entries(plot: Plot, wording: str) -> list[Run]:
    return [_entry(curve, wording, plot) for curve in plot.curves if curve.named]


def told(curve: Curve, plot: Plot) -> float | None:
    """The value of a curve that a legend tells: the latest that is known, or that at the cursor."""
    values = curve.series if curve.values is None else curve.values
    return last_known(values) if plot.cursor is None else value_at(curve.x, values, plot.cursor)


def _entry(curve: Curve, wording: str, plot: Plot) -> Run:
    value = told(curve, plot)
    full, short = ("–", "–") if value is None else (format(value, plot.y_format), format(value, ".2g"))
    words = wording.format(marker=curve.marker or "━", label=curve.label, value=full, short=short)
    return Run(words, role_of(curve))


def _width(entries: list[Run]) -> int:
    """Cells for the entries and the gap before each."""
    return sum(GAP + len(entry.text) for entry in entries)


def _fitting(entries: list[Run], room: int) -> list[Run]:
    kept: list[Run] = []
    for entry in entries:
        if _width([*kept, entry]) <= room:
            kept.append(entry)
    return kept
