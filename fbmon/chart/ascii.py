"""The same pictures for a terminal that knows only ASCII: every character becomes one of those, cell for cell."""

import locale
from collections.abc import Mapping

from fbmon.chart.raster import BRAILLE, WEIGHTS

_WITHOUT_BRAILLE = ("linux", "vt")  # the console of the kernel, and what calls itself as old terminals do
_OTHERS = {
    "│": "|", "┤": "+", "─": "-", "━": "=", "…": "~", "–": "-", "×": "x", "·": ",", "→": ">", "←": "<", "↑": "^",
    "↓": "v", "●": "*", "○": "o", "△": "^", "□": "#", "◇": "%", "▲": "^", "★": "*", "◆": "#", "✗": "X", "■": "#",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+", "▔": "-", "▁": "_", "▌": "|", "▐": "|", "█": "#", "▸": ">", "⏎": "<",
    "▽": "v", "✎": "&", "▼": "v", "✓": "+", "≈": "~", "░": ".", "▒": "+", "▓": "%",
}  # fmt: skip


class _Table(dict[int, str]):
    """The table of what stands for a character beyond ASCII; looked up once, then remembered."""

    def __missing__(self, code: int) -> str:
        if code < 0x80:
            raise LookupError  # str.translate then leaves it as it is
        braille = BRAILLE <= code < BRAILLE + 256
        self[code] = _stroke(code - BRAILLE) if braille else _OTHERS.get(chr(code), "?")
        return self[code]


_TABLE = _Table()


def is_ascii_wanted(environment: Mapping[str, str]) -> bool:
    """Return what FBMON_ASCII says (1 or 0); else whether the locale lacks Unicode or the terminal braille."""
    asked = environment.get("FBMON_ASCII")
    if asked:
        return asked != "0"
    encoding = locale.getpreferredencoding(False).upper().replace("-", "").replace("_", "")
    return encoding != "UTF8" or environment.get("TERM", "").startswith(_WITHOUT_BRAILLE)


def ascii_only(text: str) -> str:
    """Return `text` with each other character replaced by an ASCII one; dots become the stroke most like them.

    A `·` with a blank on either side separates the parts of a line: it becomes a `|`, not a comma.
    """
    return text if text.isascii() else text.replace(" · ", " | ").translate(_TABLE)


def _stroke(bits: int) -> str:
    """Return the character for a cell of 2 by 4 dots: a slope, an upright, or a level one at its height."""
    left, right = ([row for row in range(4) if bits & WEIGHTS[row][side]] for side in (0, 1))
    lit = left + right
    if not lit:
        return " "
    if left and right and abs(sum(left) / len(left) - sum(right) / len(right)) >= 1:
        return "/" if sum(left) / len(left) > sum(right) / len(right) else "\\"
    if max(lit) - min(lit) >= 2:
        return "|" if len(lit) >= 3 else ":"
    return "'-._"[min(3, round(sum(lit) / len(lit)))]
