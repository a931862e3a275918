"""The journal: one checksummed JSON line per event, written by one `write`, read by anyone at any time."""

import os
import re
import time
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from fbmon.events import Event

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"}\Z')
_LAST_LINE_WITHIN = 64 * 1024  # bytes; an event is a few hundred


def seal(event: Event) -> bytes:
    """The event as one JSON object whose last key is the CRC-32 of everything before it; ends with a newline."""
    body = _ENCODER.encode(event)[:-1]
    return b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def unseal(line: bytes) -> Event | None:
    """The event in a line without its newline; None if the line is damaged or of a kind that is not known here."""
    found = _SEAL.search(line)
    if not found or int(found[1], 16) != zlib.crc32(line[: found.start()]):
        return None
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is a fault in UTF-8
        return None


class Journal:
    """The one writer of a journal file. An error of the disk costs lines, never a step: they are counted in `lost`."""

    def __init__(self, path: Path) -> None:
        last = last_event(path)
        self._seq = last.seq if last else 0
        self._began = time.monotonic() - (last.elapsed if last else 0.0)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._torn = _is_torn(path)
        self.lost = 0

    def append(self, event: Event) -> bytes:
        """Stamp the event, write it as one line, and return the line."""
        self._seq += 1
        stamped = msgspec.structs.replace(
            event, seq=self._seq, time=time.time(), elapsed=time.monotonic() - self._began
        )
        line = seal(stamped)
        self._write(b"\n" + line if self._torn else line)
        return line

    def _write(self, text: bytes) -> None:
        try:
            self._torn = os.write(self._file, text) < len(text)
        except OSError:
            self._torn = True
        self.lost += self._torn

    def sync(self) -> None:
        """Wait until all lines so far would outlast a power cut."""
        with suppress(OSError):
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


class Tail:
    """Reads a growing journal from its beginning, each event once. Damaged lines are skipped and counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.damaged = 0

    def read(self) -> list[Event]:
        """The events written since the last call; a line without its newline yet is left for the next one."""
        # Opened anew each time: over NFS only an open sees what another host has written.
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return []
        text = text[: text.rfind(b"\n") + 1]
        self._offset += len(text)
        lines = [line for line in text.split(b"\n") if line]
        events = [event for event in map(unseal, lines) if event is not None]
        self.damaged += len(lines) - len(events)
        return events


def last_event(path: Path) -> Event | None:
    """The newest undamaged event, found from the end of the file; None if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST_LINE_WITHIN))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    return next((event for line in reversed(lines) if (event := unseal(line)) is not None), None)


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
