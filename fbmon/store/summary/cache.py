"""summary.json: what a journal comes to, kept beside it. It may be deleted at any time, and is never believed blindly.

It names the size, the time and the last line of the journal that it was folded from. An unchanged journal needs no
second look; of one that has only grown, only the new lines are read; otherwise it is folded anew from its first line.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from fbmon.host.disk import replace
from fbmon.run import RunFolder
from fbmon.run.journal import is_sealed, seal_json
from fbmon.store.summary.fold import Summary, fold, without_abandoned

_FORMAT = 8  # of the file and of what a fold remembers: another one is folded anew
_CHUNK_BYTES = 16 * 1024 * 1024
_WORTH_BYTES = 16 * 1024  # of new lines: fewer are folded sooner, in a tenth of a millisecond, than kept
_LAST_LINE_BYTES = 256


class _Kept(msgspec.Struct, frozen=True):
    """The file: a summary, and of what."""

    format: int
    size: int  # bytes of the journal
    time: int  # nanoseconds, its modification
    offset: int  # bytes folded; what follows is an unfinished line
    last: int  # CRC-32 of the last bytes folded
    summary: Summary


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Kept)
_NOTHING = _Kept(_FORMAT, 0, 0, 0, 0, Summary())


def read(folder: RunFolder) -> Summary:
    """The summary of a run as its journal stands now; a missing or damaged journal has an empty one.

    What took a while to fold is left in the run's folder for the next reader, where that is possible.
    """
    kept = _load(folder.summary)
    try:
        with folder.journal.open("rb") as journal:
            status = os.fstat(journal.fileno())
            if kept and _is_of(kept, status):
                return kept.summary
            start = kept if kept and _continues(journal, kept) else _NOTHING
            now = _fold_on(journal, start, status)
    except OSError:
        return Summary()
    if now.offset - start.offset >= _WORTH_BYTES:
        _keep(folder, now)
    return now.summary


def unchanged(folder: RunFolder) -> Summary | None:
    """The summary that is kept of a journal as it stands now; None where `read` would have to read the journal."""
    kept = _load(folder.summary)
    try:
        # Opened, as over NFS only an open sees what another host has written; unbuffered, as it is not read.
        with open(folder.journal, "rb", buffering=0) as journal:  # noqa: PTH123 - quicker than Path.open
            status = os.fstat(journal.fileno())
    except OSError:
        return Summary()
    return kept.summary if kept and _is_of(kept, status) else None


def unfolded(folder: RunFolder) -> int:
    """Return how many bytes of its journal the summary that is kept knows nothing of."""
    kept = _load(folder.summary)
    with suppress(OSError):
        size = folder.journal.stat().st_size
        return size - kept.offset if kept and kept.offset <= size else size
    return 0


def write(folder: RunFolder) -> None:
    """Leave the summary of a run that has ended in its folder, however short its journal is."""
    kept = _load(folder.summary)
    with suppress(OSError), folder.journal.open("rb") as journal:
        start = kept if kept and _continues(journal, kept) else _NOTHING
        _keep(folder, _fold_on(journal, start, os.fstat(journal.fileno())))


def _load(path: Path) -> _Kept | None:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - quicker than Path.read_bytes
            text = file.read().removesuffix(b"\n")
        kept = _DECODER.decode(text) if is_sealed(text) else None
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return kept if kept and kept.format == _FORMAT else None


def _is_of(kept: _Kept, status: os.stat_result) -> bool:
    return (kept.size, kept.time) == (status.st_size, status.st_mtime_ns)


def _continues(journal: BinaryIO, kept: _Kept) -> bool:
    """Say whether the journal still has, where the kept fold ended, the line at which it ended."""
    return kept.offset > 0 and _last(journal, kept.offset) == kept.last


def _last(journal: BinaryIO, offset: int) -> int:
    start = max(0, offset - _LAST_LINE_BYTES)
    journal.seek(start)
    return zlib.crc32(journal.read(offset - start))


def _fold_on(journal: BinaryIO, start: _Kept, status: os.stat_result) -> _Kept:
    """Fold all whole lines after the start, up to the size that the journal had when `status` was asked for."""
    summary, offset = start.summary, start.offset
    for text in _whole_lines(journal, offset, status.st_size):
        summary, offset = fold(summary, text), offset + len(text)
    if summary.has_abandoned:
        summary = without_abandoned(summary, _whole_lines(journal, 0, offset))
    return _Kept(_FORMAT, status.st_size, status.st_mtime_ns, offset, _last(journal, offset), summary)


def _whole_lines(journal: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Read what lies between two offsets in pieces; a line that is unfinished at the end is left out."""
    journal.seek(start)
    rest = b""
    while text := journal.read(min(_CHUNK_BYTES, end - start - len(rest))):
        text = rest + text
        length = text.rfind(b"\n") + 1
        yield text[:length]
        start, rest = start + length, text[length:]


def _keep(folder: RunFolder, kept: _Kept) -> None:
    """Write the file so that a reader sees the old one or the new; only into a folder of one's own."""
    with suppress(OSError):  # a full disk, a folder that is not to be written in
        if folder.path.stat().st_uid == os.geteuid():
            replace(folder.summary, seal_json(_ENCODER.encode(kept)))
