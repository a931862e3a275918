"""A heat map as SVG: each number of a grid as a square, its colour explained by a scale beside it."""

import math

import numpy as np

from fbmon.chart.paper import PALE, page, text, title
from fbmon.store.series import Floats

# Nine stops of cividis (Nuñez, Anderton, Renslow 2018): dark to light also where colours are not told apart.
_STOPS = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120), (165, 156, 116),
    (195, 179, 105), (253, 231, 55),
)  # fmt: skip
_SIDE, _LEFT, _TOP, _RIGHT = 300, 50, 34, 110
_UNIT = "along two random directions, in lengths of the filters"


def heat(name: str, at: Floats, values: Floats, *, log: bool) -> str:
    """Draw `values` (rows, columns) at the positions `at` of both edges, first row at the bottom; NaN stays white."""
    drawable = values[np.isfinite(values) & ((values > 0) | (not log))]
    low, high = (float(drawable.min()), float(drawable.max())) if len(drawable) else (1.0, 1.0)
    side = _SIDE / len(at)
    squares = [
        f'<rect x="{_LEFT + column * side:.2f}" y="{_TOP + _SIDE - (row + 1) * side:.2f}" '
        f'width="{side + 0.3:.2f}" height="{side + 0.3:.2f}" fill="{colour(_share(value, low, high, log))}"/>'
        for row, line in enumerate(values.tolist())
        for column, value in enumerate(line)
        if math.isfinite(value)
    ]
    parts = [title(_LEFT, name), *squares, *_edges(at), *_scale(low, high, log)]
    return page(_LEFT + _SIDE + _RIGHT, _TOP + _SIDE + 50, parts)


def colour(share: float) -> str:
    """Return the colour of a share from 0 to 1 of the scale."""
    position = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    lower = min(int(position), len(_STOPS) - 2)
    mixed = (round(a + (b - a) * (position - lower)) for a, b in zip(_STOPS[lower], _STOPS[lower + 1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _share(value: float, low: float, high: float, log: bool) -> float:
    if high <= low:
        return 0.0
    if log:
        return math.log(max(value, low) / low) / math.log(high / low)
    return (value - low) / (high - low)


def _edges(at: Floats) -> list[str]:
    """Return labels of the lowest, middle and highest position, along both edges."""
    parts = [text(_LEFT + _SIDE / 2, _TOP + _SIDE + 35, _UNIT, "middle", PALE)]
    for share in (0.0, 0.5, 1.0):
        label = f"{at[0] + share * (at[-1] - at[0]):.3g}"
        parts.append(text(_LEFT + share * _SIDE, _TOP + _SIDE + 18, label, "middle", PALE))
        parts.append(text(_LEFT - 6, _TOP + _SIDE * (1 - share) + 4, label, "end", PALE))
    return parts


def _scale(low: float, high: float, log: bool) -> list[str]:
    x, steps = _LEFT + _SIDE + 20, 50
    parts = [
        f'<rect x="{x}" y="{_TOP + _SIDE - (step + 1) * _SIDE / steps:.1f}" width="14" '
        f'height="{_SIDE / steps + 0.3:.1f}" fill="{colour(step / (steps - 1))}"/>'
        for step in range(steps)
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low * (high / low) ** share if log else low + (high - low) * share
        parts.append(text(x + 20, _TOP + _SIDE * (1 - share) + 4, f"{value:.3g}", colour=PALE))
    return parts
