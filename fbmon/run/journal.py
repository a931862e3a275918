"""The journal: one checksummed JSON line per event, written by one `write`, read by anyone at any time."""

import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from fbmon.events import Event, StateRestored, StepTaken
from fbmon.host.disk import may_pass, write_new
from fbmon.text import as_utf8

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_SEAL = b',"crc":"%08x"}'
_SEAL_BYTES = len(_SEAL % 0)
_PAUSE_SECONDS = 0.5  # between two tries to write a last word
_RESERVE_BYTES = 64 * 1024  # for it: a block of the usual file systems
_END = 64 * 1024  # bytes from the end of a file in which its newest events are looked for first; one is a few hundred


def seal(event: Event) -> bytes:
    """The event as one JSON object whose last key is the CRC-32 of everything before it; ends with a newline."""
    try:
        encoded = _ENCODER.encode(event)
    except UnicodeEncodeError:  # the message of an exception, with the name of a file in it that is not UTF-8
        encoded = _ENCODER.encode(_as_utf8(msgspec.to_builtins(event)))
    return seal_json(encoded)


def seal_json(encoded: bytes) -> bytes:
    """Seal a JSON object with at least one key as `seal` does an event."""
    body = encoded[:-1]
    return body + _SEAL % zlib.crc32(body) + b"\n"


def _as_utf8(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
    match value:
        case str():
            return as_utf8(value)
        case dict():
            return {as_utf8(key): _as_utf8(part) for key, part in value.items()}
        case list():
            return [_as_utf8(part) for part in value]
        case _:
            return value


def is_sealed(line: bytes) -> bool:
    """Say whether a line without its newline is as it was written."""
    return line[-_SEAL_BYTES:] == _SEAL % zlib.crc32(line[:-_SEAL_BYTES])


def unseal(line: bytes) -> Event | None:
    """The event in a line without its newline; None if the line is damaged or of a kind that is not known here."""
    if not is_sealed(line):
        return None
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is a fault in UTF-8
        return None


class Journal:
    """The one writer of a journal file. An error of the disk costs lines, never a step; `seq` tells how many.

    Its clock goes on where that of `beside` stands, if this is farther: a run may have been killed hours after the last
    word in its journal, while its telemetry went on, and both have to tell the same time from then on.
    """

    def __init__(self, path: Path, beside: Path | None = None) -> None:
        last = last_event(path)
        self._seq = last.seq if last else 0
        there = last_event(beside) if beside else None
        self._began = time.monotonic() - max(event.elapsed if event else 0.0 for event in (last, there))
        self._reserve = path.with_name(".reserve")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._torn = _is_torn(path)
        self._may_pass = True  # what has kept the last line from being written

    def append(self, event: Event) -> bytes:
        """Stamp the event, write it as one line, and return the line."""
        line = self._stamp(event)
        self._write(line)
        return line

    def append_last(self, event: Event, seconds: float) -> bytes:
        """Append the last word of a run; on a full disk into the room that was reserved, or as soon as there is some.

        Room is awaited for so many seconds; then the line is lost as any other.
        """
        line = self._stamp(event)
        deadline = time.monotonic() + seconds
        while not self._write(line) and self._may_pass and time.monotonic() < deadline:
            with suppress(OSError):
                self._reserve.unlink()
                continue  # there is room at once
            time.sleep(_PAUSE_SECONDS)
        with suppress(OSError):
            self._reserve.unlink()
        return line

    def reserve(self) -> None:
        """Keep some room on the disk for the last word."""
        with suppress(OSError):
            write_new(self._reserve, os.urandom(_RESERVE_BYTES))  # some file systems pack zeros

    def _stamp(self, event: Event) -> bytes:
        self._seq += 1
        return seal(
            msgspec.structs.replace(event, seq=self._seq, time=time.time(), elapsed=time.monotonic() - self._began)
        )

    def _write(self, line: bytes) -> bool:
        """Write a line, behind one that is torn on a line of its own, and say whether all of it is there."""
        text = b"\n" + line if self._torn else line
        try:
            self._torn = os.write(self._file, text) < len(text)
        except OSError as error:
            self._torn, self._may_pass = True, may_pass(error)
        return not self._torn

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
        self.offset = 0  # bytes told so far
        self.unread = 0  # bytes that the last `read` saw and left
        self.damaged = 0

    def read(self, most: int | None = None) -> list[Event]:
        """The events written since the last call; a line without its newline yet is left for the next one.

        With `most`, as many whole lines as fit in that many bytes, but at least one.
        """
        text = self.read_lines(most)
        lines = [line for line in text.split(b"\n") if line]
        events = [event for event in map(unseal, lines) if event is not None]
        self.damaged += len(lines) - len(events)
        return events

    def read_lines(self, most: int | None = None) -> bytes:
        """The same lines as they are written, for who reads many at once; damaged ones are among them."""
        # Opened anew each time: over NFS only an open sees what another host has written.
        try:
            with self._path.open("rb") as file:
                available = max(0, file.seek(0, os.SEEK_END) - self.offset)
                file.seek(self.offset)
                text = file.read(available if most is None else min(most, available))
                while (end := text.rfind(b"\n") + 1) == 0 and len(text) < available:
                    text += file.read(len(text))
        except OSError:  # gone, not ours to read, or no file at all
            return b""
        self.unread = available - len(text)
        self.offset += end
        return text[:end]


def last_event(path: Path) -> Event | None:
    """The newest undamaged event, found from the end of the file; None if there is none."""
    return next(_newest_first(path), None)


def last_step(path: Path) -> int:
    """Return how many steps the run has behind it, by the newest event that tells of it; 0 if none does."""
    return next((event.step for event in _newest_first(path) if isinstance(event, StepTaken | StateRestored)), 0)


def _newest_first(path: Path) -> Iterator[Event]:
    """The undamaged events from the end of the file on; a power cut may leave a hole there that is larger than any."""
    reach, torn = _END, b""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - reach)
                file.seek(start)
                first, *lines = (file.read(end - start) + torn).split(b"\n")
                for line in reversed(lines if start else [first, *lines]):
                    if (event := unseal(line)) is not None:
                        yield event
                end, reach, torn = start, 2 * reach, first
    except OSError:
        return


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
