"""The points of a curve that bear its marker: all where there is room, else some that stay the same as it grows."""

import math

import numpy as np

from fbmon.chart.dot_columns import borders
from fbmon.chart.layout import Layout
from fbmon.chart.plot import Curve
from fbmon.store.series import Indices

EACH = 2.0  # cells between two points from which on every one of them is marked
APART = 14.0  # cells between two markers where not
# Of curves that lie over one another others are marked. Whatever power of two a marker's place is divided by, what is
# left over is about the same share of it: so a wider view leaves markers out and moves none.
_SHIFTS = (0x55555555, 0x33333333, 0x66666666, 0x11111111, 0x77777777, 0)


def marked(curve: Curve, layout: Layout, number: int) -> Indices:
    """Return which points bear a marker, as indices; the curve is the `number`th one with markers."""
    axis = layout.horizontal
    start, stop = borders(curve.x, np.array([axis.low, axis.high])).tolist()
    if stop - start < 2:
        return np.arange(start, stop)
    reach = (curve.x[stop - 1] - curve.x[start]) / (axis.high - axis.low) * layout.area.width
    between = max(float(reach) / (stop - start - 1), 1e-9)
    stride = 1 if between >= EACH else 2 ** math.ceil(math.log2(APART / between) - 1e-9)
    first = start + (_SHIFTS[number % len(_SHIFTS)] - start) % stride
    return np.arange(first, stop, stride)
