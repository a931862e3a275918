"""Make chosen system calls of a Python process fail, to try it on file systems that this machine does not have.

Python imports this file by itself where its folder is on PYTHONPATH; `tests.faults.failing` says how to ask for faults.
"""

import _pyio  # type: ignore[import-not-found]
import builtins
import errno
import fcntl
import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_fsync, _flock, _mkdir, _rename, _replace, _write = os.fsync, fcntl.flock, os.mkdir, os.rename, os.replace, os.write


def refuse(call: str, path: Any, *, names_path: bool = False) -> None:
    """Raise the error that FAIL_`call` names, if it is to be raised for this path now."""
    name, recovered = os.environ.get(f"FAIL_{call}"), os.environ.get("FAIL_WHILE")
    if not name or name == "OK" or (recovered and os.access(recovered, os.F_OK)):
        return
    text, parts = os.fsdecode(path), os.environ.get("FAIL_PATH")
    if not parts or any(part in text for part in parts.split("|")):
        number = getattr(errno, name)
        raise OSError(number, os.strerror(number), *([text] if names_path else []))


def path_of(file: Any) -> str:
    """Return the path of an open file, given by its descriptor or as an object."""
    return str(Path(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}").readlink())


def fsync(fd: Any) -> None:
    is_folder = stat.S_ISDIR(os.fstat(fd if isinstance(fd, int) else fd.fileno()).st_mode)
    refuse("FSYNC_DIR" if is_folder else "FSYNC_FILE", path_of(fd))
    _fsync(fd)


def flock(file: Any, operation: int) -> None:
    refuse("FLOCK", path_of(file))
    if os.environ.get("FAIL_FLOCK") != "OK":
        _flock(file, operation)


def write(file: int, text: Any) -> int:
    refuse("WRITE", path_of(file))
    return _write(file, text)


def by_path(call: str, real: Callable[..., None], named: int) -> Callable[..., None]:
    """Wrap a call whose argument number `named` is the path that it makes."""

    def wrapped(*arguments: Any, **options: Any) -> None:
        refuse(call, arguments[named], names_path=True)
        real(*arguments, **options)

    return wrapped


def forking(real: Callable[..., int]) -> Callable[..., int]:
    """Wrap the start of a process, whose path is its command."""

    def wrapped(command: Any, *others: Any) -> int:
        refuse("FORK", b" ".join(map(os.fsencode, command)))
        return real(command, *others)

    return wrapped


def starting_thread(real: Callable[..., object]) -> Callable[..., object]:
    """Wrap the start of a thread, whose path is the command of its process; Python says nothing of the reason."""

    def wrapped(*arguments: Any, **options: Any) -> object:
        try:
            refuse("THREAD", " ".join(sys.orig_argv))
        except OSError:
            raise RuntimeError("can't start new thread") from None
        return real(*arguments, **options)

    return wrapped


def install() -> None:
    """Put the failing calls into the place of the real ones."""
    os.fsync, fcntl.flock, os.write = fsync, flock, write
    os.mkdir = by_path("MKDIR", _mkdir, 0)
    os.rename, os.replace = by_path("RENAME", _rename, 1), by_path("RENAME", _replace, 1)
    if os.environ.get("FAIL_FORK"):
        import subprocess

        subprocess._fork_exec = forking(subprocess._fork_exec)  # type: ignore[attr-defined]
    if os.environ.get("FAIL_THREAD"):
        import threading

        name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
        setattr(threading, name, starting_thread(getattr(threading, name)))
    if os.environ.get("FAIL_WRITE"):
        # Files of the interpreter's own write in C; those that are written in Python do so by `os.write`.
        io.open = builtins.open = _pyio.open
        for number, stream in ((1, "stdout"), (2, "stderr")):
            text = _pyio.open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
            text.reconfigure(line_buffering=True)
            setattr(sys, stream, text)


if Path("/proc/self/fd").exists() and any(name.startswith("FAIL_") for name in os.environ):
    install()
