"""One process at a time does what many may want: the others wait, on any file system and on any host.

A file that is locked says whose turn it is; the kernel frees it however its process ends. Some file systems have no
locks, and those of others hold within one host. There the file's date is the sign: whoever has the turn touches it
every second, and who waits takes over when it has stood still for long enough, by a clock of its own.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fbmon.host.threads import start_thread

_LOOK_SECONDS = 0.2
_TOUCH_SECONDS = 1.0
_LOST_SECONDS = 30.0  # without a touch: a host that is busy, and a file system that shows dates late, take less


@contextmanager
def turn(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Keep other processes with the same `path` out of these lines; `while_waiting` is called until it is their turn.

    Raises OSError where no such file can be made, and whatever `while_waiting` raises.
    """
    sign = _Sign()
    while (descriptor := _claim(path, sign)) is None:
        while_waiting()
        time.sleep(_LOOK_SECONDS)
    over = threading.Event()
    thread = start_thread(lambda: _touch(descriptor, over))
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


class _Sign:
    """The other's sign of life."""

    def __init__(self) -> None:
        self._stamp = 0
        self._since = time.monotonic()

    def is_lost(self, stamp: int) -> bool:
        """Say whether it has stood still for too long, as this process has seen it."""
        now = time.monotonic()
        if stamp != self._stamp:
            self._stamp, self._since = stamp, now
        return now - self._since > _LOST_SECONDS


def _claim(path: Path, sign: _Sign) -> int | None:
    """A descriptor of the file that says that it is this process's turn; None where it is not."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    is_new = True
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        is_new = False
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:  # the other has just done
            return None
    host = socket.gethostname().encode()
    if _is_free(descriptor, host, sign, is_new=is_new) and _is_at(path, descriptor):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, host, 0)
        return descriptor
    os.close(descriptor)
    return None


def _is_free(descriptor: int, host: bytes, sign: _Sign, *, is_new: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_new or os.pread(descriptor, 1024, 0) in (b"", host):
            return True
    except BlockingIOError:
        return False
    except OSError:  # no locks on this file system
        if is_new:
            return True
    return sign.is_lost(os.fstat(descriptor).st_mtime_ns)


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether it is the file that others open too, and has not been taken away by the one that had it before."""
    with suppress(OSError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 - as of a descriptor
    return False


def _touch(descriptor: int, over: threading.Event) -> None:
    while not over.wait(_TOUCH_SECONDS):
        with suppress(OSError):
            os.utime(descriptor)
