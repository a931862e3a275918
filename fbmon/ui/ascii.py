"""The whole screen in ASCII, for terminals and fonts that have nothing else."""

import locale
import os

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fbmon.chart.ascii import ascii_only

_WITHOUT_BRAILLE = ("linux", "vt")  # the console of the kernel, and what calls itself as old terminals do


class AsciiFilter(LineFilter):
    """The last thing that sees a line before the terminal does."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(ascii_only(text), style, control) for text, style, control in segments]


def is_wanted() -> bool:
    """FBMON_ASCII says 1 or 0; else whether the locale has no Unicode or the terminal is one without braille."""
    asked = os.environ.get("FBMON_ASCII")
    if asked:
        return asked != "0"
    encoding = locale.getpreferredencoding(False).upper().replace("-", "").replace("_", "")
    return encoding != "UTF8" or os.environ.get("TERM", "").startswith(_WITHOUT_BRAILLE)
