"""The one door through which foreign text (recipes, logs, exceptions) reaches a terminal."""

import re
import signal
from pathlib import Path

# What a recipe and a run may be called: it becomes the name of a folder.
NAME_PATTERN = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"

_LONGEST_PATH = 4096  # bytes, on Linux

# C0 and C1 controls, soft hyphen, zero-width and bidirectional marks, line separators, byte-order mark, interlinear
# and variation marks, surrogates, tag characters: whatever steers a terminal or hides text instead of being text.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def clean(text: str, limit: int = 200) -> str:
    """`text` as harmless printable characters on one line, at most `limit` of them.

    Every steering character becomes U+FFFD, so that a terminal can neither be controlled nor deceived. Idempotent.
    """
    harmless = _STEERING.sub("\ufffd", text)
    return harmless if len(harmless) <= limit else harmless[: limit - 1] + "…"


def clean_path(path: Path) -> str:
    """`path` as harmless text, whole: cut short it would name nothing."""
    return clean(str(path), _LONGEST_PATH)


def clean_lines(text: str, limit: int = 4000) -> str:
    """`text` cleaned line by line: newlines stay, everything else is as in `clean`."""
    return "\n".join(clean(line, limit) for line in text.split("\n"))


def as_utf8(text: str) -> str:
    """`text` in which bytes of a file name that are not UTF-8 stand as `\\udcff`: JSON and any file can hold it."""
    return text.encode(errors="backslashreplace").decode()


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {noun}{'s'[: count != 1]}"


def signal_name(number: int) -> str:
    """`SIGKILL`; `signal 37` for a real-time signal in the middle, of which Python knows no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def percent(share: float) -> str:
    """`43%`; 0% is none and 100% is all, also where nearly none or nearly all would be rounded to it."""
    return f"{min(max(round(100 * share), int(share > 0)), 100 - int(share < 1))}%"


def gib(mib: float) -> str:
    """The size of a memory in GiB: `141`, `7.8`, `0.5`."""
    size = mib / 1024
    return f"{size:.0f}" if size >= 9.95 else f"{size:.2g}"


def time_spent(seconds: float, paused: float) -> str:
    """A time span of which some may have been a pause."""
    return f"{duration(seconds)} ({duration(paused)} of it paused)" if paused >= 1 else duration(seconds)


def duration(seconds: float | None) -> str:
    """A time span for people: `9.4 s`, `2:07`, `1:02:07`, `3 d 04:05`; an unknown one is `–`."""
    if seconds is None or seconds < 0:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 1:
        return f"{minutes}:{rest:02d}"
    if hours < 72:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{hours // 24} d {hours % 24:02d}:{minutes:02d}"
