"""Paths as JSON holds them, whose text is UTF-8 although a file name may be any bytes."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from fbmon.text import as_utf8


def written(path: Path) -> str:
    """Return a path for JSON: its text, or a URI where its name is not UTF-8; `as_path` reads both."""
    return str(path) if as_utf8(str(path)) == str(path) else path.absolute().as_uri()


def as_path(text: str) -> Path:
    """Return the path that was `written`."""
    if text.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix("file://"))))
    return Path(text)
