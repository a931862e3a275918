"""The place where the ranks of one machine meet: a file, or where locks guard none, a port of the loopback."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from fbmon.host.locks import refusal
from fbmon.host.paths import written
from fbmon.ranks.rank import Rank

_PREFIX = ".meeting-"
_LOOPBACK = "127.0.0.1"


class Meeting:
    """A file in `folder`, which the ranks lock in turn, is nobody else's; a port any user of the machine may call.

    One rank has nobody to meet.
    """

    def __init__(self, folder: Path, ranks: int) -> None:
        self._size = ranks
        for leftover in folder.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                leftover.unlink()
        self._file: Path | None = None
        self._address = ""  # host:port
        self._listener: socket.socket | None = None
        if ranks > 1:
            self._prepare(folder)

    def _prepare(self, folder: Path) -> None:
        self._file = folder / f"{_PREFIX}{token_hex(8)}"
        with suppress(OSError):  # as of a full disk
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if refusal(self._file):
            self.close()
            self._listener = socket.create_server((_LOOPBACK, 0))
            self._address = f"{_LOOPBACK}:{self._listener.getsockname()[1]}"

    def rank(self, index: int) -> Rank:
        """Return what rank `index` is told; a `listener` is inherited, and only the first rank has one."""
        listener = self._listener.fileno() if self._listener and index == 0 else None
        store = written(self._file) if self._file else ""
        return Rank(index, self._size, index, store, self._address, listener=listener)

    def begun(self) -> None:
        """Stop listening here: all ranks have been started, and the first one listens."""
        if self._listener:
            self._listener.close()

    def close(self) -> None:
        """Take the file away."""
        if self._file:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
            self._file = None
