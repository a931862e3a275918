"""Many runs at once: those whose summary is kept in a moment, the others on all cores."""

import os
import threading
from collections.abc import Callable, Sequence

import msgspec

from fbmon import summary
from fbmon.compare.run import Run, read
from fbmon.crew.limits import cores
from fbmon.folder import RunFolder
from fbmon.summary import Summary

_LONG_BYTES = 32 * 1024 * 1024  # of journals, a quarter of a second: more are shared among processes

Notice = Callable[[int], None]


def read_all(folders: Sequence[RunFolder], notice: Notice = lambda _journals: None) -> list[Run]:
    """The runs in these folders; `notice` is told how many journals are about to be read if that will take a while."""
    summaries = {folder.path: summary.unchanged(folder) for folder in folders}
    sizes = [(summary.unfolded(folder), folder) for folder in folders if summaries[folder.path] is None]
    stale = [folder for _, folder in sorted(sizes, key=lambda pair: -pair[0])]  # the longest first: none is waited for
    is_long = sum(size for size, _ in sizes) >= _LONG_BYTES
    if is_long:
        notice(len(stale))
    for folder, new in zip(stale, _fold_all(stale, is_long=is_long), strict=True):
        summaries[folder.path] = new
    return [read(folder, summaries[folder.path]) for folder in folders]


def _fold_all(folders: Sequence[RunFolder], *, is_long: bool) -> list[Summary]:
    workers = min(cores(), len(folders))
    # A screen has threads: to fork beside them may hang.
    if not is_long or workers < 2 or threading.active_count() > 1:
        return [summary.read(folder) for folder in folders]
    shares = [folders[worker::workers] for worker in range(workers)]
    begun = [_begin(share) for share in shares]
    read = [_finish(process, share) for process, share in zip(begun, shares, strict=True)]
    return [read[place % workers][place // workers] for place in range(len(folders))]


def _begin(folders: Sequence[RunFolder]) -> tuple[int, int] | None:
    """Have another process read them: its number, and the pipe in which it says what it found; None if there is none.

    A fork has all it needs in memory already. The pools of the standard library would need semaphores, which there are
    none of where /dev/shm is missing or read-only, and hang where only some of their processes may be had.
    """
    receiving, sending = os.pipe()
    try:
        process = os.fork()
    except OSError:
        os.close(receiving)
        os.close(sending)
        return None
    if process == 0:
        try:
            with os.fdopen(sending, "wb") as pipe:
                pipe.write(msgspec.json.encode([summary.read(folder) for folder in folders]))
            os._exit(0)
        finally:  # whatever happens, this one does not go on
            os._exit(1)
    os.close(sending)
    return process, receiving


def _finish(begun: tuple[int, int] | None, folders: Sequence[RunFolder]) -> list[Summary]:
    """What the process has found; read here if it came to nothing, as where it was killed."""
    if begun:
        process, receiving = begun
        with os.fdopen(receiving, "rb") as pipe:
            text = pipe.read()
        if os.waitpid(process, 0)[1] == 0:
            return msgspec.json.decode(text, type=list[Summary])
    return [summary.read(folder) for folder in folders]
