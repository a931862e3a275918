"""A journal folded into a Summary, stretch by stretch: what tables show of a run, without keeping its events."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from fbmon.events import (
    CommandTaken,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    StateRestored,
    TrainingStarted,
)
from fbmon.run.journal_columns import Clips, Columns, Part, Stretch, read
from fbmon.store.summary.digest import Digest, digest, join


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything tables know of a run's journal up to some byte."""

    began: RunStarted | None = None
    plan: TrainingStarted | None = None
    step: int = 0
    elapsed: float = 0.0  # of the newest event
    last_time: float = 0.0  # of the newest event, seconds since 1970; 0 if there is none
    slowest: float = 0.0  # seconds between two steps
    step_elapsed: float = 0.0  # of the newest step
    clipped: int = 0  # steps
    clipped_step: int = 0  # the last of them
    damaged: int = 0  # lines
    has_abandoned: bool = False  # whether its numbers include some that a later resume has taken back
    paused_since: float | None = None  # elapsed; None where it is not paused
    paused: float = 0.0  # seconds of the pauses that are over
    devices_since: float = 0.0  # elapsed; from when on it has the devices of its plan
    device_seconds_before: float = 0.0
    ended: RunEnded | None = None
    metrics: dict[str, Digest] = {}

    @property
    def steps(self) -> int:
        """The number of steps this run is to take; 0 if it never said so."""
        return self.plan.steps if self.plan else self.began.steps if self.began else 0

    @property
    def seconds(self) -> float:
        """The seconds that it has trained: the time since it began, less its pauses."""
        waiting = self.elapsed - self.paused_since if self.paused_since is not None else 0.0
        return self.elapsed - self.paused - waiting

    @property
    def device_seconds(self) -> float:
        """The time since it began, pauses included, times the devices that it had."""
        ranks = self.plan.ranks if self.plan else 1
        return self.device_seconds_before + ranks * (self.elapsed - self.devices_since)


def fold(summary: Summary, text: bytes) -> Summary:
    """The summary after some more whole lines of the journal.

    Where it then `has_abandoned` numbers, `without_abandoned` makes it right.
    """
    stretch = read(text)
    folding = _Folding(summary)
    for part in stretch.parts:
        folding.add(part)
    return folding.result(stretch)


def without_abandoned(summary: Summary, texts: Iterable[bytes]) -> Summary:
    """Return the summary of a whole journal with the numbers that the store makes of it, which knows every step."""
    # numpy takes a while to import, and few runs have gone back
    from fbmon.store.bulk import take_
    from fbmon.store.store import Store

    store = Store()
    for text in texts:
        take_(store, read(text))
    clipped_steps = store.clipped.steps
    return msgspec.structs.replace(
        summary,
        has_abandoned=False,
        step=store.step,
        clipped=len(clipped_steps),
        clipped_step=int(clipped_steps[-1]) if len(clipped_steps) else 0,
        metrics={
            name: digest(series.steps.astype(int).tolist(), series.optional_values())
            for name, series in store.series.items()
            if name in summary.metrics
        },
    )


class _Folding:
    """A summary in the making."""

    def __init__(self, before: Summary) -> None:
        self._now = msgspec.structs.asdict(before)
        self._digests = dict(before.metrics)

    def add(self, part: Part) -> None:
        """Take in what comes next."""
        now = self._now
        match part:
            case Columns():
                self._told(part)
            case Clips(steps=steps):
                self._clipped(steps)
            case RunStarted():
                now |= {"began": part, "ended": None}
            case RunResumed():
                self._end_pause(part.elapsed)
                now |= {"ended": None, "step_elapsed": 0.0}  # to start a trainer is no slow step
            case TrainingStarted():
                self._planned(part)
            case StateRestored(step=step):
                latest = max(now["step"], now["clipped_step"], self._last_step(self._digests))
                now["has_abandoned"] |= step < latest
            case RunRestarted():
                self._end_pause(part.elapsed)
                now["step_elapsed"] = 0.0
            case CommandTaken(command=command):
                if command == "pause" and now["paused_since"] is None:
                    now["paused_since"] = part.elapsed
                if command == "resume":
                    self._end_pause(part.elapsed)
            case RunEnded():
                self._end_pause(part.elapsed)
                now["ended"] = part
            case _:
                pass  # nothing that a table shows

    def result(self, stretch: Stretch) -> Summary:
        """The summary up to here."""
        now = self._now | {"metrics": self._digests, "damaged": self._now["damaged"] + stretch.damaged}
        if stretch.last:
            now |= {"elapsed": max(now["elapsed"], stretch.last.elapsed), "last_time": stretch.last.time}
        return Summary(**now)

    def _planned(self, plan: TrainingStarted) -> None:
        """A resumed run may have other devices than before."""
        now = self._now
        before = now["plan"]
        if before and before.ranks != plan.ranks:
            now["device_seconds_before"] += before.ranks * (plan.elapsed - now["devices_since"])
            now["devices_since"] = plan.elapsed
        now["plan"] = plan

    def _end_pause(self, elapsed: float) -> None:
        now = self._now
        if now["paused_since"] is None:
            return
        now |= {"paused": now["paused"] + elapsed - now["paused_since"], "paused_since": None}
        if now["step_elapsed"]:
            now["step_elapsed"] = elapsed  # the step that was interrupted has not been slow

    def _told(self, columns: Columns) -> None:
        if columns.teller == "validation":
            self._now["has_abandoned"] |= self._is_validated_again(columns)
        for name, column in columns.values.items():
            new = digest(columns.steps, column)
            self._digests[name] = join(self._digests[name], new) if name in self._digests else new
        if columns.teller == "step":
            self._now["step"] = columns.steps[-1]
            self._pace(columns.elapsed)

    def _is_validated_again(self, columns: Columns) -> bool:
        """Say whether a run that was cut off between a validation and the next checkpoint tells it once more."""
        return any(step == last for last, step in pairwise([self._last_step(columns.values), *columns.steps]))

    def _last_step(self, names: Iterable[str]) -> int:
        """Return the last step at which one of these metrics had a value; 0 if none had."""
        digests = [self._digests[name] for name in names if name in self._digests]
        return max((digest.recent[-1][0] for digest in digests if digest.recent), default=0)

    def _clipped(self, steps: Sequence[int]) -> None:
        """Count each step once: after a resume some are told again."""
        new = [step for step in steps if step > self._now["clipped_step"]]
        self._now["clipped"] += len(new)
        self._now["clipped_step"] = max(new, default=self._now["clipped_step"])

    def _pace(self, elapsed: Sequence[float]) -> None:
        before = self._now["step_elapsed"]
        times = [before, *elapsed] if before else elapsed
        self._now["slowest"] = max([self._now["slowest"], *(after - before for before, after in pairwise(times))])
        self._now["step_elapsed"] = elapsed[-1]
