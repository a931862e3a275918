"""One run as the tables see it: its summary, its settings, and the truth about its state."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fbmon.analysis.flatness import Flatness, of_run
from fbmon.compare.settings import read_settings
from fbmon.run import Life, RunFolder
from fbmon.store.summary import Summary
from fbmon.store.summary import read as read_summary
from fbmon.store.timeline import is_silent


@dataclass(frozen=True)
class Run:
    """A run as it stood when it was read."""

    name: str
    path: Path
    summary: Summary
    state: str
    last_sign: float  # seconds since 1970; 0 if there never was one

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings; read on first use, since a list of runs seldom needs them."""
        return read_settings(RunFolder(self.path).resolved)

    @cached_property
    def flatness(self) -> Flatness | None:
        """The result of `fbmon flatness` with its default options; read on first use."""
        return of_run(RunFolder(self.path))

    @property
    def is_alive(self) -> bool:
        """Say whether the run is training."""
        return self.state in ("running", "paused", "stalled")

    @property
    def may_go_on(self) -> bool:
        """Say whether the run is training, or nobody can tell."""
        return self.is_alive or self.state == "unknown"

    @property
    def recipe(self) -> str:
        return self.summary.began.recipe if self.summary.began else str(self.settings.get("name", ""))

    @property
    def steps(self) -> int:
        """The number of steps planned; 0 if unknown."""
        return self.summary.steps or int(self.settings.get("steps", 0))


def read(folder: RunFolder, summary: Summary | None = None) -> Run:
    """Return the run in a folder, even if damaged or half-written. `summary` is its own, if it was read before."""
    summary = summary or read_summary(folder)
    life = Life.ENDED if summary.ended else folder.look().life
    if life is not Life.RUNNING and not summary.ended:
        summary = read_summary(folder)  # it may have had its last word since
    sign = _last_sign(folder, summary)
    return Run(folder.name, folder.path, summary, _state(summary, sign, life), sign)


def _state(summary: Summary, last_sign: float, life: Life) -> str:
    """Return the final state of a run if it has one; else the state by its process and its last sign of life.

    One of running, paused, stalled (alive but silent), killed (died without a last word), unknown (silent, on another
    host), damaged (unreadable), or `events.State`.
    """
    if summary.ended:
        return summary.ended.state
    if life is Life.UNKNOWN:
        return "unknown"
    if life is Life.ENDED:
        return "killed" if summary.last_time else "damaged"
    if summary.paused_since is not None:
        return "paused"
    return "stalled" if last_sign and is_silent(time.time() - last_sign, summary.slowest) else "running"


def _last_sign(folder: RunFolder, summary: Summary) -> float:
    """Return the time of the newest event, or of the newest progress within a long step."""
    if summary.ended:
        return summary.last_time
    try:
        return max(summary.last_time, folder.progress.stat().st_mtime)
    except OSError:
        return summary.last_time
