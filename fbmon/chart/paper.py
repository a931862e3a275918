"""The common part of all pictures in SVG: white paper, ink, and words that are text and nothing else."""

from collections.abc import Sequence
from html import escape

from fbmon.text import clean

INK, PALE, GRID = "#1f2328", "#57606a", "#d8dee4"
LETTERS = 11  # pixels
_LONGEST = 60  # letters


def page(width: int, height: int, parts: Sequence[str], letters: int = LETTERS) -> str:
    """Return the whole picture; its fonts are the reader's own."""
    opened = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" font-size="{letters}" role="img">'
    )
    return "\n".join([opened, f'<rect width="{width}" height="{height}" fill="#ffffff"/>', *parts, "</svg>\n"])


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK, look: str = "") -> str:
    """Return words at a position in pixels, harmless in a terminal and in XML; `look` holds further attributes."""
    said = escape(clean(words, _LONGEST))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{look}>{said}</text>'


def title(x: float, words: str, letters: int = LETTERS) -> str:
    """Return the name of a picture, above it."""
    return text(x, 18, words, look=f' font-size="{letters + 2}" font-weight="600"')
