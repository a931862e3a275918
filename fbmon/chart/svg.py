"""Plots as SVG: lines told apart by colour and by dash, a legend below, clip marks, levels, every spike kept."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fbmon.chart.frame import LEFT, TOP, Frame, Size
from fbmon.chart.legend import legend_value
from fbmon.chart.paper import GRID, INK, LETTERS, PALE, page, text, title
from fbmon.chart.plot import Curve, Plot, Reference
from fbmon.chart.spans import time_ticks
from fbmon.chart.ticks import ticks

# Okabe and Ito's colours, which colour-blind readers tell apart, without their yellow, which paper swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 4")
SMALL, LARGE = Size(460, 200, LETTERS), Size(960, 400, 13)
_ALARM = "#b00000"  # clip marks, and levels whose role has no colour
_RIM = ' stroke="#ffffff" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'  # lifts words off the curves
_X_AXIS, _LEGEND_LINE, _LEGEND_COLUMN = 46, 17, 450

Colours = Mapping[str, str]  # of the roles, on white


def svg(plots: Sequence[Plot], colours: Colours | None = None, size: Size = SMALL) -> str:
    """Draw all plots in one picture, two side by side; a curve whose role has no colour gets one by its position."""
    pairs = [plots[first : first + 2] for first in range(0, len(plots), 2)]
    heights = [max(_height(plot, size) for plot in pair) for pair in pairs]
    charts = [
        f'<g transform="translate({column * size.width} {sum(heights[:row])})">'
        f"{''.join(_Chart(plot, colours or {}, size).parts())}</g>"
        for row, pair in enumerate(pairs)
        for column, plot in enumerate(pair)
    ]
    return page(size.width * min(2, max(1, len(plots))), sum(heights), charts, size.letters)


def _height(plot: Plot, size: Size) -> int:
    """Return the height with its legend, a line for each curve that has a name."""
    lines = -(-sum(curve.named for curve in plot.curves) // (size.width // _LEGEND_COLUMN))
    return size.bottom + _X_AXIS + _LEGEND_LINE * lines + 4


class _Chart:
    """One plot; what its parts have in common is worked out once."""

    def __init__(self, plot: Plot, colours: Colours, size: Size) -> None:
        self._plot, self._colours, self._size = plot, colours, size
        self._frame = Frame(plot, size)
        self._looks = self._made_looks()

    def parts(self) -> Iterator[str]:
        """Yield the parts of the picture, from the back to the front."""
        yield from self._axes()
        yield from self._areas()
        yield from map(self._level, self._plot.references)
        yield from map(self._line, sorted(self._plot.curves, key=lambda curve: not curve.dim))
        yield from map(self._level_label, self._plot.references)
        yield from self._marks()
        yield title(LEFT, self._plot.title + (", log scale" if self._plot.scale == "log" else ""), self._size.letters)
        yield from self._legend()

    def _made_looks(self) -> dict[Curve, tuple[str, str]]:
        """Return colour and dash of each curve; no two of the first 35 named curves are alike."""
        looks, number = {}, 0
        for curve in self._plot.curves:
            colour = self._colours.get(curve.role, COLOURS[number % len(COLOURS)])
            dash = DASHES[(number + number // len(COLOURS)) % len(DASHES)] if curve.named else ""
            looks[curve] = colour, f' stroke-dasharray="{dash}"' if dash else ""
            number += curve.named
        return looks

    def _axes(self) -> Iterator[str]:
        right, bottom, horizontal = self._size.right, self._size.bottom, self._frame.horizontal
        for tick in ticks(self._frame.vertical, 0.12) if self._frame.vertical else []:
            y = self._frame.y(np.array([tick.units]))[0]
            yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID}"/>'
            yield text(LEFT - 6, y + 4, tick.label, "end", PALE)
        unit, cursor = self._plot.x_unit, self._plot.cursor
        for tick in ticks(horizontal, 0.15) if unit == "number" else time_ticks(horizontal, 0.15, unit):
            yield text(self._frame.x(np.array([tick.units]))[0], bottom + 22, tick.label, "middle", PALE)
        yield text((LEFT + right) / 2, bottom + 39, self._plot.x_label, "middle", PALE)
        yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="{PALE}"/>'
        if cursor is not None and horizontal.low <= cursor <= horizontal.high:
            x = self._frame.x(np.array([cursor]))[0]
            yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{PALE}" stroke-dasharray="1 3"/>'

    def _areas(self) -> Iterator[str]:
        """Yield the bands, each in the colour of its curve."""
        colours = {curve.role: colour for curve, (colour, _) in self._looks.items()} | dict(self._colours)
        for band in self._plot.bands:
            colour = colours.get(band.role.split()[0], INK)
            yield f'<path d="{self._frame.area(band)}" fill="{colour}" fill-opacity="0.18"/>'

    def _line(self, curve: Curve) -> str:
        colour, dash = self._looks[curve]
        behind = ' opacity="0.4"' if curve.dim else ""
        return (
            f'<path d="{self._frame.line(curve)}" fill="none" stroke="{colour}" stroke-width="1.5" '
            f'stroke-linejoin="round" stroke-linecap="round"{dash}{behind}/>'
        )

    def _level(self, level: Reference) -> str:
        colour, y = self._colours.get(level.role, _ALARM), self._frame.level(level.value)
        line = f'<path d="M{LEFT} {y:.1f}H{self._size.right}" stroke="{colour}" stroke-dasharray="4 3"/>'
        return "" if np.isnan(y) else line

    def _level_label(self, level: Reference) -> str:
        colour, y = self._colours.get(level.role, _ALARM), self._frame.level(level.value)
        return "" if np.isnan(y) else text(self._size.right, y - 4, level.label, "end", colour, _RIM)

    def _marks(self) -> Iterator[str]:
        """Yield a short stroke under each clipped step, at most one per pixel."""
        marks, horizontal = self._plot.marks, self._frame.horizontal
        if marks is None or not len(marks):
            return
        inside = marks[(marks >= horizontal.low) & (marks <= horizontal.high)]
        strokes = [f"M{x:g} {self._size.bottom + 2}v6" for x in np.unique(np.round(self._frame.x(inside))).tolist()]
        colour = self._colours.get("mark", _ALARM)
        yield f'<path d="{"".join(strokes)}" stroke="{colour}"/>'
        words = "1 step clipped" if len(marks) == 1 else f"{len(marks)} steps clipped"
        yield text(self._size.right, 18, words, "end", colour)

    def _legend(self) -> Iterator[str]:
        """Yield each curve that has a name, with its value in the legend."""
        for number, curve in enumerate(curve for curve in self._plot.curves if curve.named):
            row, column = divmod(number, self._size.width // _LEGEND_COLUMN)
            x, y = LEFT + column * _LEGEND_COLUMN, self._size.bottom + _X_AXIS + 12 + row * _LEGEND_LINE
            colour, dash = self._looks[curve]
            value = legend_value(curve, self._plot)
            yield f'<path d="M{x} {y - 4}h26" stroke="{colour}" stroke-width="1.8"{dash}/>'
            yield text(x + 32, y, f"{curve.label}  {'–' if value is None else format(value, self._plot.y_format)}")
