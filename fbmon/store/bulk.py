"""A store that takes a stretch of a journal at once: all that curves need, in a quarter of the time.

What is left out is what tells one step after the other: the notes on clipping, spikes, rates and stalls, and the pace.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fbmon.host.forked import share
from fbmon.host.limits import cores
from fbmon.run.journal import Tail
from fbmon.run.journal_columns import Clips, Columns, Stretch, read
from fbmon.store.series import Floats, Series
from fbmon.store.store import SHARE_STEPS, Store, best_of

_LONG_BYTES = 4 * 1024 * 1024  # of journals, 20 ms: fewer are read sooner than handed over by other processes

Read = tuple[Store, int]


def read_store(journal: Path) -> Read:
    """The store of a journal as it stands now, and how many of its bytes are in it."""
    tail, store = Tail(journal), Store()
    take_(store, read(tail.read_lines()))
    return store, tail.offset


def begin_to_read(journals: Sequence[Path]) -> dict[Path, Callable[[], Read]]:
    """Have other processes read them from now on; each is there as soon as it is called for.

    Nothing of a few short ones, or where there is one core. To be called before any thread runs.
    """
    workers = min(cores(), len(journals))
    if workers < 2 or sum(path.stat().st_size for path in journals if path.is_file()) < _LONG_BYTES:
        return {}
    return dict(zip(journals, share([partial(read_store, journal) for journal in journals], workers), strict=True))


def take_(store: Store, stretch: Stretch) -> None:
    """Fold in the next stretch."""
    for part in stretch.parts:
        match part:
            case Columns():
                _extend(store, part)
            case Clips(steps=steps, elapsed=elapsed, norms=norms):
                store.clipped.extend(np.array(steps, float), np.array(elapsed), np.array(norms))
                store.elapsed = max(store.elapsed, *elapsed)
            case _:
                store.apply(part)


def _extend(store: Store, columns: Columns) -> None:
    steps, elapsed = np.array(columns.steps, float), np.array(columns.elapsed)
    store.elapsed = max(store.elapsed, *columns.elapsed)
    stands = np.full(len(steps), fill_value=True)
    if columns.teller == "validation":
        store.take_back(columns.steps[0], columns.values)
        stands[:-1] = steps[1:] != steps[:-1]
    for name, column in columns.values.items():
        told = np.array(column, float)[stands]
        store.series.setdefault(name, Series()).extend(steps[stands], elapsed[stands], told)
        store.latest[name] = column[-1]
    if columns.teller == "step":
        store.step = columns.steps[-1]
        _share(store, steps, elapsed)
    elif "val_accuracy" in columns.values:
        found = best_of(steps[stands], np.array(columns.values["val_accuracy"], float)[stands])
        if found and (store.best is None or found.value > store.best.value):
            store.best = found


def _share(store: Store, steps: Floats, elapsed: Floats) -> None:
    """The share of the last steps that were clipped, as the store tells it step by step."""
    if not len(store.clipped) and (store.plan is None or store.plan.clip_norm is None):
        return
    series = store.series.setdefault("clipped_share", Series())
    before = series.steps[-(SHARE_STEPS - 1) :]
    counted: Floats = np.cumsum(np.isin([*before, *steps], store.clipped.steps), dtype=np.float64)
    last = np.arange(len(before), len(counted))
    first = last - SHARE_STEPS
    counts = counted[last] - np.where(first >= 0, counted[np.maximum(first, 0)], 0)
    series.extend(steps, elapsed, counts / np.minimum(last + 1, SHARE_STEPS))
    store.latest["clipped_share"] = series.last()
