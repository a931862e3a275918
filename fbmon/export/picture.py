"""Panels as SVG: lines told apart by colour and by dash, clip marks, dashed levels, every spike kept."""

import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from fbmon.chart.axes import Axis, fit, to_units
from fbmon.chart.ticks import ticks
from fbmon.export.panels import Line, Panel
from fbmon.series import Floats
from fbmon.text import clean

# Okabe and Ito's colours, which colour-blind readers tell apart, without their yellow, which paper swallows.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 4")
WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP = 58, 14, 30  # around the plotting area
PLOT_HEIGHT = 200
_LEGEND_LINE = 16
_COLUMNS = 2
_EXACT_POINTS = 2 * WIDTH  # of more, each pixel column draws its lowest and its highest


def figure(panels: Sequence[Panel]) -> str:
    """All panels in one picture, two beside each other."""
    heights = [max(map(height, panels[row : row + _COLUMNS])) for row in range(0, len(panels), _COLUMNS)]
    width = WIDTH * min(_COLUMNS, max(1, len(panels)))
    parts = [_open(width, sum(heights)), f'<rect width="{width}" height="{sum(heights)}" fill="#fff"/>']
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        parts.append(f'<g transform="translate({column * WIDTH} {sum(heights[:row])})">{_panel(panel)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def single(panel: Panel) -> str:
    """One panel as a picture of its own."""
    return f"{_open(WIDTH, height(panel))}{_panel(panel)}</svg>"


def height(panel: Panel) -> int:
    """With its legend, a line for each curve."""
    return TOP + PLOT_HEIGHT + 34 + _LEGEND_LINE * len(panel.lines)


def _open(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" font-size="11" role="img">'
    )


def _panel(panel: Panel) -> str:
    horizontal, vertical = _axes(panel)
    marks = panel.marks if panel.marks is not None else np.array([])
    parts = [
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="600" fill="#222">{words(panel.title)}</text>',
        *_grid(horizontal, vertical),
        *(_level(value, label, vertical) for value, label in panel.levels),
        *(_band(line, number, horizontal, vertical) for number, line in enumerate(panel.lines)),
        *(_curve(line, number, horizontal, vertical) for number, line in enumerate(panel.lines)),
        *_marks(marks, horizontal),
        *_legend(panel, len(marks)),
    ]
    return "".join(parts)


def _axes(panel: Panel) -> tuple[Axis, Axis]:
    ends = [end for line in panel.lines for end in line.band or ()]
    values = np.concatenate([*(line.values for line in panel.lines), *ends, [value for value, _ in panel.levels]])
    units = to_units(values, panel.scale)
    known = units[np.isfinite(units)]
    vertical = fit(float(known.min()), float(known.max()), panel.scale) if len(known) else Axis(0, 1, panel.scale)
    last = max((float(line.steps[-1]) for line in panel.lines), default=1.0)
    return Axis(*panel.x_range or (0.0, max(1.0, last))), vertical


def _grid(horizontal: Axis, vertical: Axis) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, TOP + PLOT_HEIGHT
    for tick in ticks(vertical, 0.12):
        y = _y(vertical, np.array([tick.units]))[0]
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{tick.label}</text>'
    for tick in ticks(horizontal, 0.15):
        x = _x(horizontal, np.array([tick.units]))[0]
        yield f'<text x="{x:.1f}" y="{bottom + 22}" text-anchor="middle" fill="#555">{tick.label}</text>'
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#888"/>'


def _curve(line: Line, number: int, horizontal: Axis, vertical: Axis) -> str:
    x, y = _x(horizontal, line.steps), _y(vertical, to_units(line.values, vertical.scale))
    x, y = _thinned(x, y) if len(x) > _EXACT_POINTS else (x, y)
    dash = f' stroke-dasharray="{style(number)[1]}"' if style(number)[1] else ""
    return (
        f'<path d="{_path(x, y)}" fill="none" stroke="{style(number)[0]}" stroke-width="1.4" '
        f'stroke-linejoin="round" stroke-linecap="round"{dash}/>'
    )


def _band(line: Line, number: int, horizontal: Axis, vertical: Axis) -> str:
    """All between the two ends, faint behind the curves."""
    if line.band is None:
        return ""
    x = _x(horizontal, line.steps)
    low, high = (_y(vertical, to_units(end, vertical.scale)) for end in line.band)
    known = ~np.isnan(low) & ~np.isnan(high)
    around = [*zip(x[known], low[known], strict=True), *zip(x[known][::-1], high[known][::-1], strict=True)]
    corners = " ".join(f"{across:.1f},{down:.1f}" for across, down in around)
    return f'<polygon points="{corners}" fill="{style(number)[0]}" fill-opacity="0.15"/>'


def style(number: int) -> tuple[str, str]:
    """The colour and dash of curve `number`; no two of the first 35 are alike."""
    return COLOURS[number % len(COLOURS)], DASHES[(number + number // len(COLOURS)) % len(DASHES)]


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The lowest and the highest point of each pixel column, in the order in which they come; gaps stay gaps."""
    kept: list[int] = []
    starts = np.flatnonzero(np.diff(np.floor(x), prepend=-np.inf))
    for start, stop in zip(starts, [*starts[1:], len(x)], strict=True):
        part = y[start:stop]
        if np.isnan(part).all():
            kept.append(int(start))
        else:
            kept += sorted({int(start + np.nanargmin(part)), int(start + np.nanargmax(part))})
    return x[kept], y[kept]


def _path(x: Floats, y: Floats) -> str:
    """A point without neighbours is drawn as a dot."""
    parts, pen_is_down = [], False
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if math.isnan(down):
            pen_is_down = False
            continue
        parts.append(f"{'L' if pen_is_down else 'M'}{across:.1f} {down:.1f}{'' if pen_is_down else 'h0'}")
        pen_is_down = True
    return "".join(parts)


def _level(value: float, label: str, vertical: Axis) -> str:
    y = _y(vertical, to_units(np.array([value]), vertical.scale))[0]
    if math.isnan(y):
        return ""
    return (
        f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#b00" stroke-dasharray="4 3"/>'
        f'<text x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end" fill="#b00">{words(label)}</text>'
    )


def _marks(marks: Floats, horizontal: Axis) -> Iterator[str]:
    """A short stroke under each clipped step, as many as there are pixels."""
    for x in np.unique(np.round(_x(horizontal, marks), 0)).tolist():
        yield f'<path d="M{x:g} {TOP + PLOT_HEIGHT + 2}v6" stroke="#b00"/>'


def _legend(panel: Panel, clipped: int) -> Iterator[str]:
    y = TOP + PLOT_HEIGHT + 42
    if clipped:
        steps = "1 step" if clipped == 1 else f"{clipped} steps"
        yield f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end" fill="#b00">{steps} clipped</text>'
    for number, line in enumerate(panel.lines):
        colour, dash = style(number)
        at = y + number * _LEGEND_LINE
        yield f'<path d="M{LEFT} {at - 4}h26" stroke="{colour}" stroke-width="1.8" stroke-dasharray="{dash}"/>'
        told = line.values[~np.isnan(line.values)][-1] if line.told is None else line.told
        yield f'<text x="{LEFT + 32}" y="{at}" fill="#222">{words(line.label)}  {told:.4g}</text>'


def _x(horizontal: Axis, steps: Floats) -> Floats:
    return LEFT + horizontal.place(steps) * (WIDTH - LEFT - RIGHT)


def _y(vertical: Axis, units: Floats) -> Floats:
    return TOP + PLOT_HEIGHT - vertical.place(units) * PLOT_HEIGHT


def words(text: str) -> str:
    """Foreign text, harmless in a terminal and in XML."""
    return escape(clean(text, 60))
