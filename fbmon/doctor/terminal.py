"""The terminal, and what it can show of a run."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from fbmon.chart.ascii import is_ascii_wanted
from fbmon.doctor.finding import Finding
from fbmon.text import clean

_LEAST_COLUMNS, _LEAST_LINES = 80, 24


def examine_terminal(environment: Mapping[str, str]) -> Finding:
    """Judge size, colours and characters; the screen works with less of each, plain lines with none."""
    if not _is_terminal():
        return Finding("terminal", "ok", "none: a run is shown in plain lines")
    term = environment.get("TERM", "dumb")
    if term == "dumb":
        return Finding("terminal", "warning", "TERM=dumb: plain lines only", "set TERM to the type of the terminal")
    columns, lines = _size()
    faults = []
    if columns < _LEAST_COLUMNS or lines < _LEAST_LINES:
        faults.append(f"make it {_LEAST_COLUMNS}x{_LEAST_LINES} or larger")
    is_ascii = is_ascii_wanted(environment)
    if is_ascii:
        faults.append("for finer curves use a terminal with braille and a UTF-8 locale: `export LANG=C.UTF-8`")
    characters = "ASCII" if is_ascii else "Unicode"
    observation = f"{columns}x{lines}, {_colours(environment, term)}, {characters} ({clean(term)})"
    return Finding("terminal", "warning" if faults else "ok", observation, "; ".join(faults))


def _is_terminal() -> bool:
    """Return whether standard output is a terminal; behind a status line of Rich 14 only its descriptor tells."""
    with suppress(OSError):
        return os.isatty(sys.stdout.fileno())
    return False


def _colours(environment: Mapping[str, str], term: str) -> str:
    if environment.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return "16 million colours"
    return "256 colours" if "256color" in term else "16 colours"


def _size() -> tuple[int, int]:
    with suppress(OSError):
        return os.get_terminal_size(sys.stdout.fileno())
    return 0, 0
