"""Curves and pictures in few words."""

from collections.abc import Sequence

import numpy as np

from fbmon.chart import Curve, Drawing
from fbmon.chart.raster import Dots
from fbmon.store.series import Floats, Series


def series(values: Sequence[float | None], x: Sequence[float] | None = None) -> Series:
    made = Series()
    for step, value in zip(range(len(values)) if x is None else x, values, strict=True):
        made.append(float(step), 0.0, value)
    return made


def curve(
    values: Sequence[float | None], x: Sequence[float] | None = None, label: str = "a", role: str = "train"
) -> Curve:
    made = series(values, x)
    return Curve(label, role, made.steps, made)


def long_curve(values: Floats) -> Curve:
    """A curve of many points, filled a column at a time."""
    made = Series()
    for value in values.tolist():
        made.append(len(made), 0.0, value)
    return Curve("a", "train", made.steps, made)


def dots(drawing: Drawing) -> Dots:
    """Which dots are lit, (4 * rows, 2 * cells), in a drawing that is nothing but braille and blanks."""
    rows = []
    for text in str(drawing).split("\n"):
        bits = [0 if cell == " " else ord(cell) - 0x2800 for cell in text]
        for left, right in ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80)):
            rows.append([bool(cell & bit) for cell in bits for bit in (left, right)])
    return np.array(rows)


def picture(text: str) -> str:
    """A drawing as it stands in a test: framed by `|`, so that no editor strips its blanks."""
    return "\n".join(line.strip()[1:-1] for line in text.strip().split("\n"))
