"""Whole journals read into stores, without notes and pace; many of them by several processes."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fbmon.host.forked import share
from fbmon.host.limits import cores
from fbmon.run.journal import Tail
from fbmon.run.journal_columns import read
from fbmon.store.store import Store

_LONG_BYTES = 4 * 1024 * 1024  # of journals, 20 ms: fewer are read sooner than handed over by other processes

Read = tuple[Store, int]


def read_store(journal: Path) -> Read:
    """The store of a journal as it stands now, and how many of its bytes are in it."""
    tail, store = Tail(journal), Store()
    store.apply_stretch(read(tail.read_lines()))
    return store, tail.offset


def begin_to_read(journals: Sequence[Path]) -> dict[Path, Callable[[], Read]]:
    """Have other processes read them from now on; each is there as soon as it is called for.

    Nothing of a few short ones, or where there is one core. To be called before any thread runs.
    """
    workers = min(cores(), len(journals))
    if workers < 2 or sum(path.stat().st_size for path in journals if path.is_file()) < _LONG_BYTES:
        return {}
    return dict(zip(journals, share([partial(read_store, journal) for journal in journals], workers), strict=True))
