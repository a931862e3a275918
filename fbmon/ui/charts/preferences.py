"""The memory of the screen from run to run: what a reader likes in all charts, and the theme.

The scale of a chart is not among it: it depends on the numbers of a run, as do the zoom, the cursor and the filter.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from fbmon.host.disk import replace
from fbmon.ui.charts.view import AxisName, Events, View


class Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file as JSON. A key that is missing has its default, one that is not known here is left out."""

    axis: AxisName = "step"
    smoothing: float = View.smoothing
    events: Events = "main"
    theme: str = ""


def load(path: Path | None) -> Settings:
    """The settings in a file; the defaults where there is none, or one that makes no sense."""
    if path is None:
        return Settings()
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is a fault in UTF-8
        return Settings()
    return settings if 0 <= settings.smoothing < 1 else msgspec.structs.replace(settings, smoothing=View.smoothing)


def save(path: Path | None, settings: Settings) -> None:
    """Keep the settings; where nothing can be written they are forgotten."""
    if path is None or load(path) == settings:
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, msgspec.json.format(msgspec.json.encode(settings)) + b"\n")


def of(view: View, theme: str) -> Settings:
    """Return what is worth remembering of a view."""
    return Settings(view.axis, view.smoothing, view.events, theme)


def to_view(settings: Settings) -> View:
    return View(axis=settings.axis, smoothing=settings.smoothing, events=settings.events)
