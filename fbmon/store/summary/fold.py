"""A journal folded into a Summary, stretch by stretch: what tables show of a run, without keeping its events."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from fbmon.events import RunRestarted, RunResumed, StateRestored, TrainingStarted
from fbmon.run.journal_columns import Columns, Part, read
from fbmon.store.summary.digest import Digest, digest, join
from fbmon.store.timeline import Timeline


class Summary(Timeline, omit_defaults=True):
    """Everything tables know of a run's journal up to some byte; whoever is given one only reads it."""

    last_time: float = 0.0  # of the newest event, seconds since 1970; 0 if there is none
    slowest: float = 0.0  # seconds between two steps
    step_elapsed: float = 0.0  # of the newest step
    damaged: int = 0  # lines
    has_abandoned: bool = False  # whether its numbers include some that a later resume has taken back
    devices_since: float = 0.0  # elapsed; from when on it has the devices of its plan
    device_seconds_before: float = 0.0
    metrics: dict[str, Digest] = msgspec.field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The seconds that it has trained: the time since it began, less its pauses."""
        return self.elapsed - self.paused_seconds(self.elapsed)

    @property
    def device_seconds(self) -> float:
        """The time since it began, pauses included, times the devices that it had."""
        ranks = self.plan.ranks if self.plan else 1
        return self.device_seconds_before + ranks * (self.elapsed - self.devices_since)

    def take(self, part: Part) -> None:
        """Fold in what comes next: one event, or columns of many."""
        was_paused = self.paused_since is not None
        match part:
            case Columns():
                self._extend(part)
            case RunResumed() | RunRestarted():
                self.step_elapsed = 0.0  # to start a trainer is no slow step
            case TrainingStarted():
                self._planned(part)
            case StateRestored(step=step):
                self.has_abandoned |= step < max(self.step, self.clipped_step, self._last_step(self.metrics))
            case _:
                pass  # nothing but its place in the timeline
        super().take(part)
        if was_paused and self.paused_since is None and self.step_elapsed:
            self.step_elapsed = self.elapsed  # the step that was interrupted has not been slow

    def _planned(self, plan: TrainingStarted) -> None:
        """Account for the devices so far: a resumed run may have others than before."""
        if self.plan and self.plan.ranks != plan.ranks:
            self.device_seconds_before += self.plan.ranks * (plan.elapsed - self.devices_since)
            self.devices_since = plan.elapsed

    def _extend(self, columns: Columns) -> None:
        if columns.teller == "validation":
            self.has_abandoned |= self._is_validated_again(columns)
        for name, column in columns.values.items():
            new = digest(columns.steps, column)
            self.metrics[name] = join(self.metrics[name], new) if name in self.metrics else new
        if columns.teller == "step":
            self._time(columns.elapsed)

    def _is_validated_again(self, columns: Columns) -> bool:
        """Say whether a run that was cut off between a validation and the next checkpoint tells it once more."""
        return any(step == last for last, step in pairwise([self._last_step(columns.values), *columns.steps]))

    def _last_step(self, names: Iterable[str]) -> int:
        """Return the last step at which one of these metrics had a value; 0 if none had."""
        digests = [self.metrics[name] for name in names if name in self.metrics]
        return max((digest.recent[-1][0] for digest in digests if digest.recent), default=0)

    def _time(self, elapsed: Sequence[float]) -> None:
        times = [self.step_elapsed, *elapsed] if self.step_elapsed else elapsed
        self.slowest = max([self.slowest, *(after - before for before, after in pairwise(times))])
        self.step_elapsed = elapsed[-1]


def fold(summary: Summary, text: bytes) -> Summary:
    """The summary after some more whole lines of the journal.

    Where it then `has_abandoned` numbers, `without_abandoned` makes it right.
    """
    stretch = read(text)
    longer = msgspec.structs.replace(summary, metrics=dict(summary.metrics))
    for part in stretch.parts:
        longer.take(part)
    longer.damaged += stretch.damaged
    if stretch.last:
        longer.last_time = stretch.last.time
    return longer


def without_abandoned(summary: Summary, texts: Iterable[bytes]) -> Summary:
    """Return the summary of a whole journal with the numbers that the store makes of it, which knows every step."""
    from fbmon.store.store import Store  # numpy takes a while to import, and few runs have gone back

    store = Store()
    for text in texts:
        store.apply_stretch(read(text))
    return msgspec.structs.replace(
        summary,
        has_abandoned=False,
        step=store.step,
        clipped_count=store.clipped_count,
        clipped_step=store.clipped_step,
        metrics={
            name: digest(series.steps.astype(int).tolist(), series.optional_values())
            for name, series in store.series.items()
            if name in summary.metrics
        },
    )
