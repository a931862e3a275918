"""Many runs at once: those whose summary is kept in a moment, the others on all cores."""

import os
import threading
from collections.abc import Callable, Sequence

from fbmon import summary
from fbmon.compare.run import Run, read
from fbmon.folder import RunFolder
from fbmon.summary import Summary

_LONG_BYTES = 32 * 1024 * 1024  # of journals, a quarter of a second: more are shared among processes

Notice = Callable[[int], None]


def read_all(folders: Sequence[RunFolder], notice: Notice = lambda _journals: None) -> list[Run]:
    """The runs in these folders; `notice` is told how many journals are about to be read if that will take a while."""
    summaries = {folder.path: summary.unchanged(folder) for folder in folders}
    stale = [folder for folder in folders if summaries[folder.path] is None]
    for folder, new in zip(stale, _fold_all(stale, notice), strict=True):
        summaries[folder.path] = new
    return [read(folder, summaries[folder.path]) for folder in folders]


def _fold_all(folders: Sequence[RunFolder], notice: Notice) -> list[Summary]:
    workers = min(os.cpu_count() or 1, len(folders))
    if sum(map(_size, folders)) < _LONG_BYTES:
        return [summary.read(folder) for folder in folders]
    notice(len(folders))
    if workers < 2 or threading.active_count() > 1:  # on a screen: to fork beside threads may hang
        return [summary.read(folder) for folder in folders]
    import multiprocessing

    # A fork: the children have all they need in memory already, and touch nothing but files.
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return pool.map(summary.read, folders, chunksize=1)


def _size(folder: RunFolder) -> int:
    try:
        return folder.journal.stat().st_size
    except OSError:
        return 0
