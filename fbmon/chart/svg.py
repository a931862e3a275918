"""A plot as an SVG drawing: the same ranges, ticks and colours as in the terminal, in lines instead of dots."""

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

from fbmon.chart.axes import Axis, to_units
from fbmon.chart.columns import Trace
from fbmon.chart.layout import GUTTER, Layout, lay_out
from fbmon.chart.legend import legend
from fbmon.chart.plot import Plot
from fbmon.chart.spans import time_ticks
from fbmon.chart.ticks import ticks
from fbmon.series import Floats
from fbmon.text import clean

WIDTH, HEIGHT = 960, 480  # of the whole drawing, in pixels
LEFT, TOP, RIGHT, BOTTOM = 72, 48, 24, 44  # around the plotting area
CELLS = (WIDTH - LEFT - RIGHT) // 2 + GUTTER  # the curves are traced once per pixel
INK, PAPER, GRID = "#1f2328", "#ffffff", "#e4e7eb"


def svg(plot: Plot, colours: Mapping[str, str]) -> str:
    """The drawing; `colours` are those of the roles, on white. Foreign text in it is text and nothing else."""
    layout = lay_out(plot, CELLS, 40)
    vertical = layout.y_axis or Axis(0, 1, plot.scale)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="DejaVu Sans, Helvetica, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        *_axes(plot, layout, vertical),
        *_references(plot, vertical, colours),
        *_bands(plot, layout, vertical, colours),
        *_curves(plot, layout, vertical, colours),
        *_header(plot, colours),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(plot: Plot, layout: Layout, vertical: Axis) -> Iterator[str]:
    for tick in ticks(vertical, 0.12) if layout.y_axis else []:
        y = _y(vertical, np.array([tick.units]))[0]
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>'
        yield _text(LEFT - 8, y + 4, tick.label, "end")
    horizontal = layout.horizontal
    unit = plot.x_unit
    for tick in ticks(horizontal, 0.12) if unit == "number" else time_ticks(horizontal, 0.12, unit):
        x = LEFT + float(horizontal.place(np.array([tick.units]))[0]) * (WIDTH - LEFT - RIGHT)
        yield f'<path d="M{x:.1f} {HEIGHT - BOTTOM}v5" stroke="{INK}"/>'
        yield _text(x, HEIGHT - BOTTOM + 20, tick.label, "middle")
    yield f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="{INK}"/>'


def _references(plot: Plot, vertical: Axis, colours: Mapping[str, str]) -> Iterator[str]:
    for reference in plot.references:
        y = _y(vertical, to_units(np.array([reference.value]), plot.scale))[0]
        colour = colours.get(reference.role, INK)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{colour}" stroke-dasharray="6 4"/>'
        yield _text(WIDTH - RIGHT - 4, y - 5, reference.label, "end", colour)


def _bands(plot: Plot, layout: Layout, vertical: Axis, colours: Mapping[str, str]) -> Iterator[str]:
    for band, (lower, upper) in zip(plot.bands, layout.bands, strict=True):
        for left, right, low, high in _columns(lower, upper, vertical):
            yield (
                f'<path d="M{left:g} {low:.1f}H{right:g}V{high:.1f}H{left:g}z" '
                f'fill="{colours.get(band.role, INK)}" opacity="0.2"/>'
            )


def _columns(lower: Trace, upper: Trace, vertical: Axis) -> Iterator[tuple[float, float, float, float]]:
    """Left, right, bottom and top of each pixel column of a band that is known."""
    bottom = _y(vertical, np.fmin(lower.low, np.fmin(lower.line[:-1], lower.line[1:])))
    top = _y(vertical, np.fmax(upper.high, np.fmax(upper.line[:-1], upper.line[1:])))
    for column in np.flatnonzero(~np.isnan(bottom + top)).tolist():
        yield _x(column, len(top)), _x(column + 1, len(top)), bottom[column], top[column]


def _curves(plot: Plot, layout: Layout, vertical: Axis, colours: Mapping[str, str]) -> Iterator[str]:
    pairs = sorted(zip(plot.curves, layout.curves, strict=True), key=lambda pair: not pair[0].dim)
    for curve, trace in pairs:
        style = 'opacity="0.35"' if curve.dim else 'stroke-width="1.6"'
        path = " ".join(_strokes(trace, vertical))
        yield f'<path d="{path}" fill="none" stroke="{colours.get(curve.role, INK)}" stroke-linejoin="round" {style}/>'


def _strokes(trace: Trace, vertical: Axis) -> Iterator[str]:
    """Through each pixel column: in by the line, over its lowest and highest point, out by the line."""
    low, high, line = (_y(vertical, units) for units in trace)
    joined = False
    for column in range(len(low)):
        stops = [line[column], low[column], high[column], line[column + 1]]
        places = [column, column + 0.5, column + 0.5, column + 1]
        known = [(_x(x, len(low)), y) for x, y in zip(places, stops, strict=True) if not np.isnan(y)]
        if known and not (joined and not np.isnan(line[column])):
            yield f"M{known[0][0]:g} {known[0][1]:.1f}h0"
        yield from (f"L{x:g} {y:.1f}" for x, y in known[joined and not np.isnan(line[column]) :])
        joined = bool(known) and not np.isnan(line[column + 1])


def _header(plot: Plot, colours: Mapping[str, str]) -> Iterator[str]:
    yield f'<g font-size="16" font-weight="bold">{_text(LEFT, 28, plot.title, "start")}</g>'
    x = WIDTH - RIGHT
    for entry in reversed(legend(plot, 200)):
        yield _text(x, 28, entry.text, "end", colours.get(entry.role.split()[0], INK))
        x -= 8 * len(entry.text) + 16


def _text(x: float, y: float, words: str, anchor: str, colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(clean(words))}</text>'


def _x(column: float, columns: int) -> float:
    """Pixels from the left."""
    return LEFT + column * (WIDTH - LEFT - RIGHT) / columns


def _y(vertical: Axis, units: Floats) -> Floats:
    """Pixels from the top; NaN is unknown."""
    return HEIGHT - BOTTOM - vertical.place(units) * (HEIGHT - TOP - BOTTOM)
