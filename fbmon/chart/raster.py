"""Dots to braille: a character cell is two dots wide and four dots high."""

import numpy as np
from numpy.typing import NDArray

from fbmon.chart.axes import Axis
from fbmon.chart.canvas import Codes
from fbmon.chart.dot_columns import DotTrace
from fbmon.store.series import Floats

Dots = NDArray[np.bool_]  # (rows of dots, columns of dots); row 0 is the uppermost

BRAILLE = 0x2800
WEIGHTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint32)
DASH, PERIOD = 4, 6  # of every six dots the first four
DECIMALS = 6  # of a height in dots: the last bit of a constant halfway between two rows must not choose between them


def trace_dots(traced: DotTrace, vertical: Axis, rows: int) -> Dots:
    """Fill each column from its lowest to its highest point, and along the line that joins the points.

    The axis has the scale for which the curve was traced.
    """
    low, high, line = (heights(units, vertical, rows) for units in traced)
    return fill(low, high, line, rows)


def heights(units: Floats, vertical: Axis, rows: int) -> Floats:
    """Return where axis units stand, in dots from the bottom, rounded so that whole dots can be made of them."""
    return np.round(vertical.place(units) * (rows - 1), DECIMALS)


def nearest(height: Floats) -> Floats:
    """Return the row of dots nearest to a height in dots from the bottom."""
    return np.asarray(np.floor(height + 0.5))


def band_dots(lower: DotTrace, upper: DotTrace, vertical: Axis, rows: int) -> Dots:
    """Return every second dot, as on a chessboard, from the lowest of one curve to the highest of the other."""
    joined = DotTrace(lower.low, upper.high, np.full(len(lower.line), np.nan))
    bottom = np.fmin(joined.low, np.fmin(lower.line[:-1], lower.line[1:]))
    top = np.fmax(joined.high, np.fmax(upper.line[:-1], upper.line[1:]))
    solid = trace_dots(DotTrace(bottom, top, joined.line), vertical, rows)
    return np.asarray(solid & (np.indices(solid.shape).sum(axis=0) % 2 == 0))


def fill(low: Floats, high: Floats, line: Floats, rows: int) -> Dots:
    """Return dots for the heights, in dots from the bottom, of the points in each column and the line at each edge.

    A point lights the row nearest to it. The line lights the rows whose centre it passes, or the nearest where
    it passes none: so a slope is one dot thick, and neighbouring columns always touch.
    """
    lowest = np.fmin(low, np.fmin(line[:-1], line[1:]))
    highest = np.fmax(high, np.fmax(line[:-1], line[1:]))
    first, last = np.ceil(lowest), np.ceil(highest) - 1
    level = last < first
    first[level] = last[level] = nearest((lowest[level] + highest[level]) / 2)
    first, last = np.fmin(first, nearest(low)), np.fmax(last, nearest(high))
    row = np.arange(rows)[::-1, np.newaxis]
    return np.asarray((row >= first) & (row <= last))


def dashed_dots(height: float, rows: int, columns: int) -> Dots:
    """Return a horizontal dashed line through the row nearest to `height`, in dots from the bottom."""
    row = np.arange(rows)[::-1, np.newaxis] == nearest(np.array(height))
    return np.asarray(row & (np.arange(columns) % PERIOD < DASH))


def cells(dots: Dots) -> Codes:
    """Return what each cell adds to the blank braille character: (rows / 4, columns / 2) numbers from 0 to 255."""
    rows, columns = dots.shape
    blocks = dots.reshape(rows // 4, 4, columns // 2, 2)
    return np.asarray(np.einsum("rics,is->rc", blocks, WEIGHTS), np.uint32)


def characters(bits: Codes) -> Codes:
    """Return the braille character of each cell."""
    return np.asarray(bits + BRAILLE, np.uint32)
