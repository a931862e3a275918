"""Landscapes for other programs: as a picture, several runs on one scale, and as a table of all points."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from fbmon.analysis.landscape import table
from fbmon.analysis.landscape_plots import Seen, plots
from fbmon.chart.svg import svg
from fbmon.errors import FbmonError
from fbmon.export.heat import heat
from fbmon.metrics import Scale
from fbmon.text import clean, clean_path


def lines_svg(minima: Sequence[Seen], title: str, scale: Scale, x_label: str) -> str:
    """Draw loss and accuracy along lines: for every run the mean over its directions, and their band."""
    return svg([*plots(minima, title, scale, paper=x_label)])


def plane_svg(minimum: Seen, title: str) -> str:
    """Draw the loss on a grid."""
    at, values = table(minimum.known, minimum.points, "loss")
    return heat(title, at, values, log=True)


def csv_text(minima: Sequence[Seen]) -> str:
    """Return one row per point; every number reads back equal."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "step", "directions", "at", "loss", "accuracy"])
    for minimum in minima:
        for point in minimum.points:
            values = minimum.known.get(point, {})
            coordinates = [" ".join(map(repr, part)) for part in (point.directions, point.at)]
            answers = [values.get("loss"), values.get("accuracy")]
            writer.writerow([clean(minimum.label), minimum.step, *coordinates, *answers])
    return out.getvalue()


def save(stem: Path, picture: str, table: str) -> list[str]:
    """Write STEM.svg and STEM.csv over earlier ones, and return their paths. Raises FbmonError if that fails."""
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "csv")]
    try:
        for path, content in zip(paths, (picture, table), strict=True):
            path.write_text(content, "utf-8", newline="")
    except OSError as error:
        raise FbmonError(f"{clean_path(stem)}: cannot be written: {error.strerror}") from None
    return [clean_path(path) for path in paths]
