"""A grid of numbers as a heat map: a character and a role for each level, so that no level is told by colour alone.

loss
 1 ┤██▓▓▒▒░░░░▒▒▓▓██     · below 0.5   ░ to 1   ▒ to 2   ▓ to 4   █ above
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fbmon.chart.canvas import Canvas, Drawing, StyledText
from fbmon.store.series import Floats

SHADES = "·░▒▓█"
UNKNOWN = "?"
CELL = 2  # characters a number, so that it is about as wide as it is high
_GUTTER = 7
_TICKS = 5


@dataclass(frozen=True, eq=False)
class Heat:
    """The content of a heat map: `values` (rows, columns), the first row at the lowest `at`; NaN is unknown."""

    title: str
    at: Floats  # along both edges
    values: Floats
    bounds: tuple[float, ...]  # ascending, one fewer than shades


def levels(values: Floats) -> tuple[float, ...]:
    """Return four bounds between the lowest and highest value: in equal ratios, or steps if one is not positive."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    spaced = np.geomspace if low > 0 else np.linspace
    # Rounded, as a value of 2 may stand at a bound of 2.0000000000000004 on one processor and of 2 on another.
    return tuple(float(f"{bound:.12g}") for bound in spaced(low, high, len(SHADES) + 1)[1:-1])


def draw_heat(heat: Heat) -> Drawing:
    """Draw one row per row of the grid, the highest on top, between a title and an axis."""
    rows, columns = heat.values.shape
    canvas = Canvas(max(_GUTTER + CELL * columns, len(heat.title)), rows + 2)
    canvas.write(0, 0, heat.title, "title")
    shown = _tick_rows(rows)
    for row in range(rows):
        line = rows - row
        label = f"{_label(heat.at[row]):>{_GUTTER - 1}}┤" if row in shown else " " * (_GUTTER - 1) + "│"
        canvas.write(line, 0, label, "axis")
        for column, value in enumerate(heat.values[row]):
            canvas.write(line, _GUTTER + CELL * column, *_cell(value, heat.bounds))
    for column in _tick_rows(columns):
        text = _label(heat.at[column])
        start = _GUTTER + CELL * column + 1 - len(text) // 2
        canvas.write(rows + 1, min(start, _GUTTER + CELL * columns - len(text)), text, "axis")
    return canvas.drawing()


def legend(bounds: Sequence[float]) -> list[StyledText]:
    """Return what each shade stands for, from the lowest."""
    numbers = [f"{bound:.3g}" for bound in bounds]
    words = [f"below {numbers[0]}", *(f"to {bound}" for bound in numbers[1:]), f"above {numbers[-1]}"]
    return [
        StyledText(f"{shade * CELL} {word}", role(level))
        for level, (shade, word) in enumerate(zip(SHADES, words, strict=True))
    ]


def role(level: int) -> str:
    """Return the role of a level, from heat_0, the lowest."""
    return f"heat_{level}"


def _cell(value: float, bounds: Sequence[float]) -> tuple[str, str]:
    if not np.isfinite(value):
        return UNKNOWN * CELL, "axis"
    level = int(np.searchsorted(bounds, value, side="right"))
    return SHADES[level] * CELL, role(level)


def _label(at: float) -> str:
    return f"{at:.3g}"


def _tick_rows(count: int) -> set[int]:
    return {round(tick * (count - 1) / (_TICKS - 1)) for tick in range(_TICKS)}
