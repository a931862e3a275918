"""The same pictures for a terminal that knows only ASCII: every character becomes one of those, cell for cell."""

from fbmon.chart.raster import BRAILLE, WEIGHTS

_OTHERS = {
    "│": "|", "┤": "+", "─": "-", "━": "=", "…": "~", "–": "-", "×": "x", "·": ",", "→": ">", "←": "<", "↑": "^",
    "↓": "v", "●": "*", "○": "o", "△": "^", "□": "#", "◇": "%", "▲": "^", "★": "*", "◆": "#", "✗": "X", "■": "#",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+", "▔": "-", "▁": "_", "▌": "|", "▐": "|", "█": "#", "▸": ">", "⏎": "<",
    "▽": "v", "▼": "v", "✓": "+", "≈": "~", "░": ".", "▒": "+", "▓": "%",
}  # fmt: skip


class _Table(dict[int, str]):
    """What stands for a character beyond ASCII; looked up once, then remembered."""

    def __missing__(self, code: int) -> str:
        if code < 0x80:
            raise LookupError  # str.translate then leaves it as it is
        braille = BRAILLE <= code < BRAILLE + 256
        self[code] = _stroke(code - BRAILLE) if braille else _OTHERS.get(chr(code), "?")
        return self[code]


_TABLE = _Table()


def ascii_only(text: str) -> str:
    """`text` with one ASCII character in place of each other one; dots become the stroke that is most like them."""
    return text if text.isascii() else text.translate(_TABLE)


def _stroke(bits: int) -> str:
    """The character for a cell of 2 by 4 dots: a slope, an upright, or a level one at its height."""
    left, right = ([row for row in range(4) if bits & WEIGHTS[row][side]] for side in (0, 1))
    lit = left + right
    if not lit:
        return " "
    if left and right and abs(sum(left) / len(left) - sum(right) / len(right)) >= 1:
        return "/" if sum(left) / len(left) > sum(right) / len(right) else "\\"
    if max(lit) - min(lit) >= 2:
        return "|" if len(lit) >= 3 else ":"
    return "'-._"[min(3, round(sum(lit) / len(lit)))]
