"""Files of what is shown: a chart's picture as SVG and its points as CSV, the whole screen as SVG."""

import csv
import io
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from textual.widget import Widget

from fbmon.chart import Curve, Plot
from fbmon.chart.svg import LARGE, svg
from fbmon.store.series import Floats
from fbmon.text import clean
from fbmon.ui.charts.colours import on_paper


def save_chart(widget: Widget, plot: Plot, name: str) -> None:
    """Write a chart into the current folder, and say so on the screen."""
    _save(widget, lambda: write(plot, name, Path.cwd()))


def save_screen(widget: Widget, name: str) -> None:
    """Write the screen into the current folder, and say so on it."""
    picture = without_downloads(widget.app.export_screenshot(title=f"fbmon {clean(name)}"))
    _save(widget, lambda: write_new({"svg": picture}, f"{name}-screen", Path.cwd()))


def _save(widget: Widget, write: Callable[[], list[Path]]) -> None:
    try:
        names = [path.name for path in write()]
    except OSError as error:
        widget.notify(f"Not saved: {clean(str(error))}", severity="error", markup=False)
        return
    widget.notify(f"Saved {clean(' and '.join(names))} in {clean(str(Path.cwd()))}", markup=False)


def write(plot: Plot, name: str, folder: Path) -> list[Path]:
    """Write the chart as NAME.svg and NAME.csv, as `write_new` does it."""
    roles = {layer.role for drawn in (plot.curves, plot.bands, plot.references) for layer in drawn}
    colours = on_paper({"mark", *(role.split()[0] for role in roles)})
    return write_new({"svg": svg([plot], colours, LARGE), "csv": as_csv(plot)}, name, folder)


def write_new(texts: dict[str, str], name: str, folder: Path) -> list[Path]:
    """Write texts by their suffix as NAME.SUFFIX in `folder`, or NAME-2 and so on if one is taken. Raises OSError."""
    safe = re.sub(r"[^\w.-]+", "_", clean(name, 100)).lstrip(".") or "chart"
    stem = next(stem for stem in _stems(safe) if not any((folder / f"{stem}.{end}").exists() for end in texts))
    written = {folder / f"{stem}.{end}": text for end, text in texts.items()}
    for path, text in written.items():
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    return list(written)


def without_downloads(screen: str) -> str:
    """Return Textual's SVG of a screen with the reader's own font instead of a downloaded one, and with short names."""
    screen = re.sub(r"@font-face\s*{.*?}\s*", "", screen, flags=re.DOTALL)
    return re.sub(r"terminal-\d+", "t", screen).replace("Fira Code", "DejaVu Sans Mono")


def as_csv(plot: Plot) -> str:
    """Return a row a step, with the seconds since the run began and a column a curve; an unknown value is empty.

    A curve that is drawn smoothed has a second column, as it is drawn. Of devices, which are looked at many times in a
    step, each look has a row.
    """
    columns = {_heading(curve): curve.series for curve in plot.curves}
    looks = np.concatenate([np.empty((0, 2)), *(_looks(series.steps) for series in columns.values())])
    places, rows = np.unique(looks, axis=0, return_inverse=True)
    steps, seconds = places[:, 0], np.full(len(places), np.nan)
    table, first = [], 0
    for series in columns.values():
        own, values = rows.ravel()[first : first + len(series)], np.full(len(places), np.nan)
        values[own], seconds[own] = series.values, np.fmax(seconds[own], series.elapsed)
        table.append(values.tolist())
        first += len(series)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "seconds", *columns])
    for step, *numbers in zip(steps.tolist(), seconds.tolist(), *table, strict=True):
        writer.writerow([f"{step:g}", *("" if math.isnan(number) else repr(number) for number in numbers)])
    return text.getvalue()


def _looks(steps: Floats) -> Floats:
    """Return each point's step, ascending, and how many points of the same step come before it."""
    return np.stack([steps, np.arange(len(steps)) - np.searchsorted(steps, steps)], axis=1)


def _heading(curve: Curve) -> str:
    return clean(curve.label if curve.values is None else f"{curve.label} smoothed")


def _stems(name: str) -> list[str]:
    return [name, *(f"{name}-{number}" for number in range(2, 10_000))]
