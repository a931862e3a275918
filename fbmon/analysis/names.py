"""The names of minima in a picture, and the name of the picture."""

import zlib
from collections.abc import Sequence

import msgspec

from fbmon.analysis.asked import Point
from fbmon.analysis.record import Record
from fbmon.text import as_utf8, clean


def labels(records: Sequence[Record]) -> list[str]:
    """Return each run's name, without its date if that is unambiguous, with the step if a run has several records."""
    names = {record.folder.name for record in records}
    are_short = len({record.folder.given_name for record in records}) == len(names)
    texts = []
    for record in records:
        name = clean(record.folder.given_name if are_short else record.folder.name)
        texts.append(f"{name} @{record.setting.step}" if len(records) > len(names) else name)
    return texts


def stem(asked: Sequence[tuple[Record, Sequence[Point]]], *, plane: bool) -> str:
    """Return the same stem for the same question, so that a picture made again replaces itself and nothing else."""
    what = [[as_utf8(record.folder.name), record.setting, list(points)] for record, points in asked]
    return f"landscape-{'2d-' * plane}{zlib.crc32(msgspec.json.encode(what)):08x}"
