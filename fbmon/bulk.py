"""A store that takes a stretch of a journal at once: all that curves need, in a quarter of the time.

What is left out is what tells one step after the other: the notes on clipping, spikes, rates and stalls, and the pace.
"""

import numpy as np

from fbmon.series import Floats, Series
from fbmon.store import SHARE_STEPS, Best, Store
from fbmon.stretch import Clips, Columns, Stretch


def take_(store: Store, stretch: Stretch) -> None:
    """Fold in the next stretch."""
    for part in stretch.parts:
        match part:
            case Columns():
                _extend(store, part)
            case Clips(steps=steps, elapsed=elapsed, norms=norms):
                store.clipped.extend(np.array(steps, float), np.array(elapsed), np.array(norms))
                store.elapsed = max(store.elapsed, elapsed[-1])
            case _:
                store.apply(part)


def _extend(store: Store, columns: Columns) -> None:
    steps, elapsed = np.array(columns.steps, float), np.array(columns.elapsed)
    store.elapsed = max(store.elapsed, columns.elapsed[-1])
    for name, column in columns.values.items():
        store.series.setdefault(name, Series()).extend(steps, elapsed, np.array(column, float))
        store.latest[name] = column[-1]
    if columns.teller == "step":
        store.step = columns.steps[-1]
        _share(store, steps, elapsed)
    elif "val_accuracy" in columns.values:
        _find_best(store, steps, np.array(columns.values["val_accuracy"], float))


def _share(store: Store, steps: Floats, elapsed: Floats) -> None:
    """The share of the last steps that were clipped, as the store tells it step by step."""
    if not len(store.clipped) and (store.plan is None or store.plan.clip_norm is None):
        return
    series = store.series.setdefault("clipped_share", Series())
    before = series.steps[-(SHARE_STEPS - 1) :]
    counted: Floats = np.cumsum(np.isin([*before, *steps], store.clipped.steps))
    last = np.arange(len(before), len(counted))
    first = last - SHARE_STEPS
    counts = counted[last] - np.where(first >= 0, counted[np.maximum(first, 0)], 0)
    series.extend(steps, elapsed, counts / np.minimum(last + 1, SHARE_STEPS))
    store.latest["clipped_share"] = series.last()


def _find_best(store: Store, steps: Floats, accuracies: Floats) -> None:
    if np.isnan(accuracies).all():
        return
    place = int(np.nanargmax(accuracies))
    if store.best is None or accuracies[place] > store.best.value:
        store.best = Best(float(accuracies[place]), int(steps[place]))
