"""Writing, on any file system and on a full one: whole files, files that outlast a power cut, lines for a log.

fsync is asked for wherever something has to outlast a power cut. File systems that do not have it, of files or only of
folders (SMB, FUSE, vboxsf), refuse the call; nothing is lost by that but the promise. Any other answer, EIO above all,
says that something is lost: it is an error, and that file is never synced again, as the second answer would be good.
"""

import errno
import os
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HAS_NONE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_HAS_NONE_OF_FOLDERS = _HAS_NONE | {errno.EACCES, errno.EPERM, errno.EBADF}


def sync(file: int) -> bool:
    """Wait until an open file would outlast a power cut; False where its file system cannot. Raises OSError."""
    return _is_synced(file, _HAS_NONE)


def sync_folder(folder: Path) -> bool:
    """Wait until the names in a folder would outlast a power cut, where its file system knows how. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return _is_synced(descriptor, _HAS_NONE_OF_FOLDERS)
    finally:
        os.close(descriptor)


def _is_synced(file: int, refusals: Container[int | None]) -> bool:
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno in refusals:
            return False
        raise
    return True


def write_new(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read and that outlasts a power cut. Raises OSError, also where there is one."""
    with naming(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())


def replace(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a whole file so that a reader sees the old content or the new, never a part; a failure leaves nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with naming(path):
        temporary.unlink(missing_ok=True)  # a process of this number may have been killed here
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def may_pass(error: OSError) -> bool:
    """Say whether a later try may succeed, as when somebody makes room; a limit of the process stays."""
    return error.errno != errno.EFBIG


@contextmanager
def naming(what: Path | str) -> Iterator[None]:
    """Give an OSError that names no file, as that of a write, this path, or these words for it."""
    try:
        yield
    except OSError as error:
        if not error.filename:  # empty, of an executable that has no name
            error.filename = str(what)
        raise


def log(*lines: str) -> None:
    """Write lines to standard error, which is the log of a run; a full disk costs them and nothing else."""
    # By its descriptor: what a stream cannot write is tried again as Python leaves, and changes the exit code.
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # full, closed, or none at all
            os.write(sys.stderr.fileno(), "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))
