"""The whole screen in ASCII, for terminals and fonts that have nothing else."""

import os

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fbmon.chart.ascii import ascii_only, is_ascii_wanted


class AsciiFilter(LineFilter):
    """The last thing that sees a line before the terminal does."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(ascii_only(text), style, control) for text, style, control in segments]


def is_wanted() -> bool:
    """Say whether ASCII is wanted here and now."""
    return is_ascii_wanted(os.environ)
