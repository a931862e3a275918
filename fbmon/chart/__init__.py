"""Numbers to pictures: a `Plot` says what is wanted, `draw` answers with rows of text; no Textual here."""

from fbmon.chart.canvas import Drawing, StyledText
from fbmon.chart.picture import draw
from fbmon.chart.plot import Band, Curve, Plot, Reference, Signs

__all__ = ["Band", "Curve", "Drawing", "Plot", "Reference", "Signs", "StyledText", "draw"]
