"""Plots as SVG: lines told apart by colour and by dash, a legend below, clip marks, levels, every spike kept."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from fbmon.chart.axes import Axis, to_units
from fbmon.chart.columns import Trace
from fbmon.chart.layout import GUTTER, Layout, lay_out
from fbmon.chart.legend import legend
from fbmon.chart.plot import Curve, Plot
from fbmon.chart.spans import time_ticks
from fbmon.chart.ticks import ticks
from fbmon.series import Floats
from fbmon.text import clean

LEFT, TOP, RIGHT = 58, 30, 14  # pixels around the plotting area
DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 4")
INK, PAPER, GRID = "#1f2328", "#ffffff", "#e4e7eb"
_X_AXIS, _LEGEND_LINE = 34, 16  # pixels below the plotting area
_LABEL = 60  # letters

Colours = Mapping[str, str]  # of the roles, on white


@dataclass(frozen=True)
class Size:
    """The width of a drawing and the height of its plotting area, in pixels."""

    width: int
    plot: int

    @property
    def across(self) -> int:
        return self.width - LEFT - RIGHT

    @property
    def bottom(self) -> int:
        return TOP + self.plot


LARGE, SMALL = Size(960, 388), Size(460, 200)


def svg(plot: Plot, colours: Colours, size: Size = LARGE) -> str:
    """One drawing. Foreign text in it is text and nothing else."""
    width, high = size.width, _height(plot, size)
    return f"{_open(width, high)}{_paper(width, high)}{_drawing(plot, colours, size)}</svg>\n"


def figure(plots: Sequence[tuple[Plot, Colours]], columns: int = 2, size: Size = SMALL) -> str:
    """Several in one picture, side by side."""
    heights = [
        max(_height(plot, size) for plot, _ in plots[row : row + columns]) for row in range(0, len(plots), columns)
    ]
    width, high = size.width * min(columns, max(1, len(plots))), sum(heights)
    parts = [_open(width, high), _paper(width, high)]
    for number, (plot, colours) in enumerate(plots):
        row, column = divmod(number, columns)
        place = f"{column * size.width} {sum(heights[:row])}"
        parts.append(f'<g transform="translate({place})">{_drawing(plot, colours, size)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _height(plot: Plot, size: Size) -> int:
    """With its legend, a line for each curve that has a name."""
    return size.bottom + _X_AXIS + _LEGEND_LINE * sum(curve.named for curve in plot.curves)


def _open(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" font-size="11" role="img">'
    )


def _paper(width: int, height: int) -> str:
    return f'<rect width="{width}" height="{height}" fill="{PAPER}"/>'


def _drawing(plot: Plot, colours: Colours, size: Size) -> str:
    layout = lay_out(plot, size.across // 2 + GUTTER, 40)  # the curves are traced once per pixel
    drawn = _Drawing(plot, colours, size, layout, layout.y_axis or Axis(0, 1, plot.scale))
    parts = (drawn.axes(), drawn.bands(), drawn.references(), drawn.curves(), drawn.marks(), drawn.words())
    return "".join(text for part in parts for text in part)


@dataclass(frozen=True)
class _Drawing:
    """What the parts of a drawing have in common."""

    plot: Plot
    colours: Colours
    size: Size
    layout: Layout
    vertical: Axis

    def axes(self) -> Iterator[str]:
        right, bottom = self.size.width - RIGHT, self.size.bottom
        for tick in ticks(self.vertical, 0.12) if self.layout.y_axis else []:
            y = self._y(np.array([tick.units]))[0]
            yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID}"/>'
            yield _text(LEFT - 6, y + 4, tick.label, "end")
        unit = self.plot.x_unit
        horizontal = self.layout.horizontal
        for tick in ticks(horizontal, 0.15) if unit == "number" else time_ticks(horizontal, 0.15, unit):
            yield _text(self._x(np.array([tick.units]))[0], bottom + 22, tick.label, "middle")
        yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#888"/>'

    def references(self) -> Iterator[str]:
        right = self.size.width - RIGHT
        for reference in self.plot.references:
            y = self._y(to_units(np.array([reference.value]), self.plot.scale))[0]
            colour = self.colours.get(reference.role, INK)
            if not math.isnan(y):
                yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{colour}" stroke-dasharray="4 3"/>'
                yield _text(right, y - 4, reference.label, "end", colour)

    def bands(self) -> Iterator[str]:
        for band, (lower, upper) in zip(self.plot.bands, self.layout.bands, strict=True):
            colour = self.colours.get(band.role, self.colours.get(band.role.split()[0], INK))
            bottom = self._y(np.fmin(lower.low, np.fmin(lower.line[:-1], lower.line[1:])))
            top = self._y(np.fmax(upper.high, np.fmax(upper.line[:-1], upper.line[1:])))
            for column in np.flatnonzero(~np.isnan(bottom + top)).tolist():
                left, right = self._at(column, len(top)), self._at(column + 1, len(top))
                low, high = bottom[column], top[column]
                yield f'<path d="M{left:g} {low:.1f}H{right:g}V{high:.1f}H{left:g}z" fill="{colour}" opacity="0.2"/>'

    def curves(self) -> Iterator[str]:
        styled = [(curve, trace, dash) for (curve, dash), trace in zip(self._dashed(), self.layout.curves, strict=True)]
        for curve, trace, dash in sorted(styled, key=lambda one: not one[0].dim):
            style = 'opacity="0.35"' if curve.dim else 'stroke-width="1.4"'
            stroke = self.colours.get(curve.role, INK)
            yield (
                f'<path d="{"".join(self._strokes(curve, trace))}" fill="none" stroke="{stroke}" '
                f'stroke-linejoin="round" stroke-linecap="round" {style}{_dashes(dash)}/>'
            )

    def marks(self) -> Iterator[str]:
        """A short stroke under each clipped step, as many as there are pixels."""
        marks = self.plot.marks if self.plot.marks is not None else np.empty(0)
        inside = marks[(marks >= self.layout.horizontal.low) & (marks <= self.layout.horizontal.high)]
        for x in np.unique(np.round(self._x(inside))).tolist():
            yield f'<path d="M{x:g} {self.size.bottom + 2}v6" stroke="#b00"/>'
        if len(marks):
            words = "1 step clipped" if len(marks) == 1 else f"{len(marks)} steps clipped"
            yield _text(self.size.width - RIGHT, 18, words, "end", "#b00")

    def words(self) -> Iterator[str]:
        """The title, and each curve that has a name with its newest value."""
        yield f'<g font-size="13" font-weight="600">{_text(LEFT, 18, self.plot.title, "start")}</g>'
        named = [(curve, dash) for curve, dash in self._dashed() if curve.named]
        for line, ((curve, dash), entry) in enumerate(zip(named, legend(self.plot, 1 << 16), strict=True)):
            y = self.size.bottom + 42 + line * _LEGEND_LINE
            stroke = self.colours.get(curve.role, INK)
            yield f'<path d="M{LEFT} {y - 4}h26" stroke="{stroke}" stroke-width="1.8"{_dashes(dash)}/>'
            yield _text(LEFT + 32, y, entry.text.removeprefix("━ "), "start")

    def _dashed(self) -> Iterator[tuple[Curve, str]]:
        """The curves, each in front with a dash of its own; no two of the first 35 have colour and dash alike."""
        number = 0
        for curve in self.plot.curves:
            yield curve, "" if curve.dim else DASHES[(number + number // 7) % len(DASHES)]
            number += not curve.dim

    def _strokes(self, curve: Curve, trace: Trace) -> Iterator[str]:
        """Through all points if they are few and in sight, else through the lowest and highest of each pixel column."""
        horizontal = self.layout.horizontal
        are_few = 0 < len(curve.x) <= 2 * self.size.width
        if are_few and horizontal.low <= curve.x[0] and curve.x[-1] <= horizontal.high:
            yield from _path(self._x(curve.x), self._y(to_units(curve.series.values, self.plot.scale)))
            return
        low, high, line = (self._y(units) for units in trace)
        joined = False
        for column in range(len(low)):
            stops = [line[column], low[column], high[column], line[column + 1]]
            places = [column, column + 0.5, column + 0.5, column + 1]
            known = [(self._at(x, len(low)), y) for x, y in zip(places, stops, strict=True) if not np.isnan(y)]
            goes_on = joined and not np.isnan(line[column])
            if known and not goes_on:
                yield f"M{known[0][0]:g} {known[0][1]:.1f}h0"
            yield from (f"L{x:g} {y:.1f}" for x, y in known[goes_on:])
            joined = bool(known) and not np.isnan(line[column + 1])

    def _at(self, column: float, columns: int) -> float:
        return LEFT + column * self.size.across / columns

    def _x(self, units: Floats) -> Floats:
        return LEFT + self.layout.horizontal.place(units) * self.size.across

    def _y(self, units: Floats) -> Floats:
        """Pixels from the top; NaN is unknown."""
        return self.size.bottom - self.vertical.place(units) * self.size.plot


def _path(x: Floats, y: Floats) -> Iterator[str]:
    """A point without neighbours is drawn as a dot."""
    pen_is_down = False
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if not math.isnan(down):
            yield f"{'L' if pen_is_down else 'M'}{across:.1f} {down:.1f}{'' if pen_is_down else 'h0'}"
        pen_is_down = not math.isnan(down)


def _dashes(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _text(x: float, y: float, words: str, anchor: str, colour: str = INK) -> str:
    said = escape(clean(words, _LABEL))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{said}</text>'
