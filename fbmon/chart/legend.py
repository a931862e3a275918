"""The first row of a chart: its title, and each curve's name and latest value as far as there is room."""

from typing import NamedTuple

from fbmon.chart.canvas import BLANK, StyledText
from fbmon.chart.dot_columns import last_known, value_at
from fbmon.chart.layers import role_of
from fbmon.chart.plot import Curve, Plot

TITLE = "title"
GAP = 2


class _Wording(NamedTuple):
    """The wording of an entry: its form, the cells between two, and how many letters of a label are kept."""

    entry: str
    gap: int = GAP
    letters: int | None = None


def legend(plot: Plot, width: int) -> list[StyledText]:
    """Return the entries in the fullest wording that fits beside the title, with the gaps; else those that fit.

    Naming every curve matters more than last digits, these more than whole names, and these more than values; at a
    cursor, digits matter more than names. The marks that distinguish the curves are never left out.
    """
    room = width - len(plot.title)
    wordings = _wordings(plot)
    every = ((wording, _entries(plot, wording)) for wording in wordings)
    fitting = (_joined(entries, wording) for wording, entries in every if _width(entries, wording) <= room)
    return next(fitting, None) or _joined(_fitting(plot, wordings[-1], room), wordings[-1])


def _wordings(plot: Plot) -> list[_Wording]:
    named = [curve for curve in plot.curves if curve.named]
    full = _Wording("{marker} {label} {value}")
    if len(named) == 1:
        return [full, _Wording("{label} {value}"), _Wording("{value}")]
    if not any(curve.marker for curve in named):
        return [full, _Wording("{label} {value}"), _Wording("{label} {short}"), _Wording("{label}")]
    bare = [_Wording("{marker} {value}"), _Wording("{marker} {short}")] if plot.cursor is not None else []
    lengths = _lengths([curve.label for curve in named])
    short, name = (
        [_Wording(entry), _Wording(entry, 1), *(_Wording(entry, 1, letters) for letters in lengths)]
        for entry in ("{marker} {label} {short}", "{marker} {label}")
    )
    return [full, *bare, *short, *name, _Wording("{marker} {label}")]


def _lengths(labels: list[str]) -> list[int]:
    """Return the lengths that labels may be cut to, longest first: each is at least two letters, and they differ."""
    lengths = range(max(map(len, labels), default=0) - 1, 1, -1)
    return [letters for letters in lengths if len({label[:letters] for label in labels}) == len(labels)]


def title(plot: Plot, width: int) -> StyledText:
    fits = len(plot.title) <= width
    return StyledText(plot.title if fits else plot.title[: max(width - 1, 0)] + "…", TITLE)


def _entries(plot: Plot, wording: _Wording) -> list[StyledText]:
    return [_entry(curve, wording, plot) for curve in plot.curves if curve.named]


def legend_value(curve: Curve, plot: Plot) -> float | None:
    """Return the value that a legend shows for a curve: the latest known one, or that at the cursor."""
    values = curve.series if curve.values is None else curve.values
    if plot.cursor is None:
        return last_known(values)
    return value_at(curve.x, values, plot.cursor) if plot.cursor <= curve.end else None


def _entry(curve: Curve, wording: _Wording, plot: Plot) -> StyledText:
    value = legend_value(curve, plot)
    full, short = ("–", "–") if value is None else (format(value, plot.y_format), _short(value))
    label = curve.label[: wording.letters].rstrip()
    words = wording.entry.format(marker=curve.marker or "━", label=label, value=full, short=short)
    return StyledText(words, role_of(curve))


def _short(value: float) -> str:
    """Return two digits, or all before the point where that is shorter than a power of ten."""
    two = format(value, ".2g")
    return min(two, format(value, ".0f"), key=len) if "e+" in two else two


def _width(entries: list[StyledText], wording: _Wording) -> int:
    """Return the cells for the entries and the gap before each."""
    return sum(wording.gap + len(entry.text) for entry in entries)


def _joined(entries: list[StyledText], wording: _Wording) -> list[StyledText]:
    between = StyledText(" " * wording.gap, BLANK)
    return [run for entry in entries for run in (between, entry)][1:]


def _fitting(plot: Plot, wording: _Wording, room: int) -> list[StyledText]:
    kept: list[StyledText] = []
    for entry in _entries(plot, wording):
        if _width([*kept, entry], wording) <= room:
            kept.append(entry)
    return kept
