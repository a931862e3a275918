"""A journal folded into a Summary, stretch by stretch: what tables show of a run, without keeping its events."""

import msgspec

from fbmon.events import (
    Analysed,
    Command,
    CommandTaken,
    Event,
    GradientClipped,
    NonFiniteFound,
    PhaseEntered,
    RunEnded,
    RunStarted,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.journal import unseal
from fbmon.summary.digest import Digest, digest, join


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything tables know of a run's journal up to some byte."""

    began: RunStarted | None = None
    plan: TrainingStarted | None = None
    phase: str = ""
    step: int = 0
    elapsed: float = 0.0  # of the newest event
    last_time: float = 0.0  # of the newest event, seconds since 1970; 0 if there is none
    slowest: float = 0.0  # seconds between two steps
    step_elapsed: float = 0.0  # of the newest step
    clipped: int = 0  # steps
    damaged: int = 0  # lines
    not_finite: tuple[str, ...] = ()
    last_command: Command | None = None
    ended: RunEnded | None = None
    metrics: dict[str, Digest] = {}

    @property
    def steps(self) -> int:
        """The number of steps this run is to take; 0 if it never said so."""
        return self.plan.steps if self.plan else self.began.steps if self.began else 0


def fold(summary: Summary, text: bytes) -> Summary:
    """The summary after some more whole lines of the journal."""
    lines = [line for line in text.split(b"\n") if line]
    folding = _Folding(summary)
    for event in map(unseal, lines):  # none is kept: a million of them would keep the garbage collector busy
        folding.add(event)
    return folding.result()


class _Told:
    """What one kind of event tells, column by column; events that tell of the same metrics are taken together."""

    def __init__(self) -> None:
        self.digests: dict[str, Digest] = {}
        self._names: tuple[str, ...] = ()
        self._steps: list[int] = []
        self._rows: list[tuple[float | None, ...]] = []

    def add(self, event: StepTaken | Validated | Analysed) -> None:
        names = tuple(event.values)
        if names != self._names:
            self.finish()
            self._names = names
        self._steps.append(event.step)
        self._rows.append(tuple(event.values.values()))

    def finish(self) -> None:
        """Take what has come since the last call into the digests."""
        for name, column in zip(self._names, zip(*self._rows, strict=True), strict=False):
            new = digest(self._steps, column)
            self.digests[name] = join(self.digests[name], new) if name in self.digests else new
        self._steps, self._rows = [], []


class _Folding:
    """A summary in the making."""

    def __init__(self, before: Summary) -> None:
        self._now = msgspec.structs.asdict(before)
        self._last: Event | None = None
        self._stepped, self._validated, self._analysed = _Told(), _Told(), _Told()

    def add(self, event: Event | None) -> None:
        """Take in the next line; None is a damaged one."""
        now = self._now
        match event:
            case StepTaken(step=step):
                self._stepped.add(event)
                now["step"] = step
                self._pace(event.elapsed)
            case Validated():
                self._validated.add(event)
            case Analysed():
                self._analysed.add(event)
            case GradientClipped():
                now["clipped"] += 1
            case RunStarted():
                now |= {"began": event, "ended": None}
            case TrainingStarted():
                now["plan"] = event
            case PhaseEntered(phase=phase):
                now["phase"] = phase
            case NonFiniteFound(names=names):
                now["not_finite"] = tuple(names)
            case CommandTaken(command=command):
                now["last_command"] = command
            case RunEnded():
                now["ended"] = event
            case None:
                now["damaged"] += 1
                return
            case _:
                pass  # nothing that a table shows
        self._last = event

    def result(self) -> Summary:
        """The summary up to here."""
        if self._last:
            self._now["elapsed"] = max(self._now["elapsed"], self._last.elapsed)
            self._now["last_time"] = self._last.time
        for told in (self._stepped, self._validated, self._analysed):
            told.finish()
            self._now["metrics"] = _joined(self._now["metrics"], told.digests)
        return Summary(**self._now)

    def _pace(self, elapsed: float) -> None:
        if before := self._now["step_elapsed"]:
            self._now["slowest"] = max(self._now["slowest"], elapsed - before)
        self._now["step_elapsed"] = elapsed


def _joined(before: dict[str, Digest], after: dict[str, Digest]) -> dict[str, Digest]:
    return before | {name: join(before[name], new) if name in before else new for name, new in after.items()}
