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
        """The recipe's; read when they are asked for, as a list of runs seldom does."""
        return read_settings(RunFolder(self.path).resolved)

    @cached_property
    def flatness(self) -> Flatness | None:
        """Return what `fbmon flatness` has measured in its usual way; read when it is asked for."""
        return of_run(RunFolder(self.path))

    @property
    def is_alive(self) -> bool:
        """Say whether it is being trained."""
        return self.state in ("running", "paused", "stalled")

    @property
    def may_go_on(self) -> bool:
        """Say whether it is being trained, or nobody can tell."""
        return self.is_alive or self.state == "unknown"

    @property
    def recipe(self) -> str:
        return self.summary.began.recipe if self.summary.began else str(self.settings.get("name", ""))

    @property
    def steps(self) -> int:
        """The number of steps it is or was to take; 0 if unknown."""
        return self.summary.steps or int(self.settings.get("steps", 0))


def read(folder: RunFolder, summary: Summary | None = None) -> Run:
    """The run in a folder; a damaged or half-written one as what it is. `summary` is its own, if it was read before."""
    summary = summary or read_summary(folder)
    life = Life.ENDED if summary.ended else folder.look().life
    if life is not Life.RUNNING and not summary.ended:
        summary = read_summary(folder)  # it may have had its last word since
    sign = _last_sign(folder, summary)
    return Run(folder.name, folder.path, summary, _state(summary, sign, life), sign)


def _state(summary: Summary, last_sign: float, life: Life) -> str:
    """Return the last word of a run if it had one; else what is known of its life, and its last sign of life.

    running, paused, stalled (alive and silent), killed (gone without a word), unknown (on another host, and silent),
    damaged (nothing of it can be read), or one of `events.State`.
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
    """The newest event, or the newest progress of a step that takes long."""
    if summary.ended:
        return summary.last_time
    try:
        return max(summary.last_time, folder.progress.stat().st_mtime)
    except OSError:
        return summary.last_time
