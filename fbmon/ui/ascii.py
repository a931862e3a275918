"""The whole screen in ASCII, for terminals and fonts that have nothing else."""

import locale
import os

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fbmon.chart.ascii import ascii_only


class AsciiFilter(LineFilter):
    """The last thing that sees a line before the terminal does."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(ascii_only(text), style, control) for text, style, control in segments]


def is_wanted() -> bool:
    """Whether FBMON_ASCII is set, or the locale is one without Unicode."""
    asked = os.environ.get("FBMON_ASCII")
    if asked:
        return asked != "0"
    return locale.getpreferredencoding(False).upper().replace("-", "") not in ("UTF8", "UTF_8")
