"""The place where the ranks of one machine meet: a file, or where locks guard none, a port of the loopback."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from fbmon.host.locks import refusal

_PREFIX = ".meeting-"
_LOOPBACK = "127.0.0.1"


class Meeting:
    """A file in `folder`, which the ranks lock in turn, is nobody else's; a port any user of the machine may call.

    One rank has nobody to meet.
    """

    def __init__(self, folder: Path, ranks: int) -> None:
        for leftover in folder.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                leftover.unlink()
        self.file: Path | None = None
        self.address = ""  # host:port
        self._listener: socket.socket | None = None
        if ranks > 1:
            self._prepare(folder)

    def _prepare(self, folder: Path) -> None:
        self.file = folder / f"{_PREFIX}{token_hex(8)}"
        with suppress(OSError):  # as of a full disk
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if refusal(self.file):
            self.close()
            self._listener = socket.create_server((_LOOPBACK, 0))
            self.address = f"{_LOOPBACK}:{self._listener.getsockname()[1]}"

    def listener(self, rank: int) -> int | None:
        """The descriptor that a rank inherits and listens at: only the first does."""
        return self._listener.fileno() if self._listener and rank == 0 else None

    def begun(self) -> None:
        """All ranks have been started: from now on only the first one listens."""
        if self._listener:
            self._listener.close()

    def close(self) -> None:
        """Take the file away."""
        if self.file:
            with suppress(OSError):
                self.file.unlink(missing_ok=True)
            self.file = None
