"""Many runs at once: those whose summary is kept in a moment, the others on all cores."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

from fbmon.compare.run import Run, read
from fbmon.host.forked import share
from fbmon.host.limits import cores
from fbmon.run import RunFolder
from fbmon.store import summary
from fbmon.store.summary import Summary

_LONG_BYTES = 32 * 1024 * 1024  # of journals, a quarter of a second: more are shared among processes

Notice = Callable[[int], None]


def read_all(folders: Sequence[RunFolder], notice: Notice = lambda _journals: None) -> list[Run]:
    """Read the runs in these folders; if that takes a while, `notice` is first called with the number of journals."""
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
    return [result() for result in share([partial(summary.read, folder) for folder in folders], workers)]
