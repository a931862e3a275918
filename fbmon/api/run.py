"""A run as arrays: what it measured, its settings, its events and its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbmon import compare
from fbmon import run as folders
from fbmon.errors import FbmonError
from fbmon.events import Event
from fbmon.export import rows
from fbmon.run.journal import Tail
from fbmon.store.notes import Note
from fbmon.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


class Curve(NamedTuple):
    """The values of a metric, float64 (N,), at the steps int64 (N,) that told them, ascending; unknown ones are NaN."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """A run as it stood when it was read."""

    path: Path
    state: str  # such as running, finished, stopped, killed, failed: as `fbmon runs` tells it
    reason: str  # why it ended; empty if there is nothing to say
    step: int  # the last one taken
    steps: int  # planned; 0 if unknown
    settings: Mapping[str, Any]  # of the recipe, by `section.key`
    events: tuple[Event, ...]  # all that it told, in order: see fbmon/events.py

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def metrics(self) -> dict[str, Curve]:
        """The curves by name, such as `loss`, `grad_norm` or `val_accuracy`; those of validations have their steps."""
        step_rows = self._rows
        return {name: _curve(name, step_rows) for name in rows.names(step_rows)}

    @cached_property
    def notes(self) -> list[Note]:
        """The lines of the event list: clipping, the best validation, stops and all else that deserves one."""
        store = Store()
        for event in self.events:
            store.apply(event)
        return store.notes

    def __getitem__(self, name: str) -> Curve:
        """Return the curve of a metric. Raises KeyError, with those there are, for one that was never told."""
        if name not in self.metrics:
            raise KeyError(f"{name}: not a metric of {self.name}, which has {', '.join(self.metrics) or 'none yet'}")
        return self.metrics[name]

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with a row per step and the columns of `fbmon export --to csv`; what was not told is NaN.

        Raises FbmonError if pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise FbmonError("to_pandas needs pandas, which is not installed", "pip install pandas") from None
        step_rows = self._rows
        columns: dict[str, NDArray[Any]] = {
            "time": np.array([row.time for row in step_rows], dtype=np.float64),
            "elapsed": np.array([row.elapsed for row in step_rows], dtype=np.float64),
            "clipped": np.array([row.clipped for row in step_rows], dtype=bool),
        }
        for name in rows.names(step_rows):
            columns[name] = np.array([row.values.get(name) for row in step_rows], dtype=np.float64)
        return pd.DataFrame(columns, index=pd.Index([row.step for row in step_rows], name="step", dtype="int64"))

    @cached_property
    def _rows(self) -> list[rows.StepRow]:
        return rows.of_events(self.events)


def read(run: str | Path | None = None, runs_dir: str | Path | None = None) -> Run:
    """Read a run: its path, its name, the beginning of one, or by default the newest.

    Names are looked for in `runs_dir`, by default $FBMON_RUNS or `runs`. A run that is being trained may be read again
    and again. Neither torch nor code of the recipe is loaded. Raises UsageError if there is no such run.
    """
    folder = folders.find(folders.usual() if runs_dir is None else Path(runs_dir), None if run is None else str(run))
    seen = compare.read(folder)
    events = tuple(Tail(folder.journal).read())
    reason = seen.summary.ended.reason if seen.summary.ended else ""
    return Run(seen.path, seen.state, reason, seen.summary.step, seen.steps, seen.settings, events)


def _curve(name: str, told: list[rows.StepRow]) -> Curve:
    points = [(row.step, row.values[name]) for row in told if name in row.values]
    steps, values = [step for step, _ in points], [value for _, value in points]
    return Curve(np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64))
