"""A run in memory: its timeline and its curves, folded from its events; the same from queue or journal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

import msgspec

from fbmon import metrics
from fbmon.events import (
    Analysed,
    DeviceSampled,
    Event,
    GradientClipped,
    PassRepeated,
    PhaseEntered,
    ProgressMade,
    RunRestarted,
    RunResumed,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.run.journal_columns import Clips, Columns, Part, Stretch, parts_of
from fbmon.store.clipping import ClippedWindow
from fbmon.store.notes import Chronicle, Note, cautions
from fbmon.store.pace import Pace
from fbmon.store.replay import Replay
from fbmon.store.series import Series, append
from fbmon.store.timeline import Timeline

_SETTLE_EVERY = 1000  # events
CLOCK_SECONDS = 2.0  # a wall clock that has gained less on the run's own is still the same one


@dataclass(frozen=True)
class Best:
    """The best validation by its `score`, and the step that had it first."""

    value: float
    step: int
    score: str = "val_accuracy"


class Store(Timeline):
    """Everything the screens know of a run. Only `apply` and `apply_stretch` change it.

    Both come to the same fold by columns: steps that arrive one by one are a stretch as soon as someone looks at the
    curves. What only tells one event after the other, the notes and the pace, listens to `apply`: a run that was read
    in stretches has neither.
    """

    phase: str = "starting the trainer"
    cautions: list[str] = msgspec.field(default_factory=list)  # of the newest start
    progress: ProgressMade | None = None
    sampled: float = 0.0  # elapsed, of the newest look at a device: comes every second, also where the training waits
    rank_seconds: list[float] = msgspec.field(default_factory=list)  # of the newest step, where several ranks shared it
    devices: dict[str, DeviceSampled] = msgspec.field(default_factory=dict)
    utilization: dict[str, Series] = msgspec.field(default_factory=dict)  # percent, by device
    memory: dict[str, Series] = msgspec.field(default_factory=dict)  # percent of the device's own, by device
    best: Best | None = None
    set_aside: list[int] = msgspec.field(default_factory=list)  # the steps of checkpoints that could not be used
    repeats: list[int] = msgspec.field(default_factory=list)  # steps whose pass over the data was repeated
    # From when on, how far 1970 is behind `elapsed`.
    clocks: list[tuple[float, float]] = msgspec.field(default_factory=list)
    _series: dict[str, Series] = msgspec.field(default_factory=dict)
    _clipped: Series = msgspec.field(default_factory=Series)
    _arrived: list[Event] = msgspec.field(default_factory=list)  # steps that are not in the curves yet
    _validated: int = 0  # the newest step that was
    _trained: TrainingStarted | None = None  # the start of the trainer that took the newest step
    _window: ClippedWindow = msgspec.field(default_factory=ClippedWindow)
    _replay: Replay = msgspec.field(default_factory=Replay)
    _pace: Pace = msgspec.field(default_factory=Pace)
    _chronicle: Chronicle = msgspec.field(default_factory=Chronicle)

    @property
    def series(self) -> dict[str, Series]:
        """The curves by their names, which grow as they are asked for here: keep the store, not a curve."""
        self._settle()
        return self._series

    @property
    def clipped(self) -> Series:
        """The clipped steps and their norms."""
        self._settle()
        return self._clipped

    @property
    def latest(self) -> dict[str, float | None]:
        """The last value of each curve."""
        return {name: series.last() for name, series in self.series.items()}

    @property
    def notes(self) -> list[Note]:
        """The event list, in the order in which things were found; an episode's line is as of now."""
        return self._chronicle.notes

    def seconds_left(self, now: float | None = None) -> float | None:
        """The time to the last step, from `now` (elapsed) where it is given; None while there is no pace."""
        return None if self.ended else self._pace.seconds_left(self.steps, self._validation_every, now)

    def seconds_left_deviation(self) -> float | None:
        """The standard deviation of `seconds_left`, were the steps to come as uneven as the last; None below 3."""
        return None if self.ended else self._pace.deviation(self.steps)

    @property
    def _validation_every(self) -> int:
        return self.plan.validation_every if self.plan else 0

    def steps_to_validation(self) -> int | None:
        """Return how many steps from now the next validation comes; None where that is not told."""
        every = self._validation_every
        if not every or self.step >= self.steps:
            return None
        return min(every - (self.step - 1) % every if self.step else 1, self.steps - self.step)

    def apply(self, event: Event) -> None:
        """Fold in the next event."""
        paused = self.paused_before
        match event:
            case ProgressMade():
                self.progress = event
                return
            case DeviceSampled():
                self._sampled(event)
                return
            case StepTaken() | GradientClipped() | Analysed():
                self._arrive(event)
            case Validated(step=step, values=values) if step > self._validated:
                self._validated = step
                self._judge((step,), {name: (value,) for name, value in values.items()})
                self._arrive(event)
            case Validated() | TrainingStarted() | StateRestored():  # what changes the curves so far, or those to come
                self._settle()
                for part in parts_of([event]):
                    self.take(part)
            case _:
                self.take(event)
        self._set_clock(event)
        self._pace.hear(event, self.paused_before - paused, self._validation_every)
        self._write(event)

    def apply_stretch(self, stretch: Stretch) -> None:
        """Fold in the next stretch of the journal, in a quarter of the time; no notes are made of it, and no pace."""
        self._settle()
        for part in stretch.parts:
            self.take(part)
            if not isinstance(part, Columns | Clips):
                self._set_clock(part)

    def take(self, part: Part) -> None:
        """Fold in what comes next: one event, or columns of many."""
        super().take(part)
        self._draw(part)

    def _arrive(self, event: Event) -> None:
        """Fold in an event but for its points, which wait until someone looks: many at once cost much less each."""
        super().take(event)
        self._arrived.append(event)
        if len(self._arrived) == _SETTLE_EVERY:
            self._settle()

    def _settle(self) -> None:
        """Put into the curves what has arrived."""
        if self._arrived:
            for part in parts_of(self._arrived):
                self._draw(part)
            self._arrived.clear()

    def _draw(self, part: Part) -> None:
        match part:
            case Columns():
                self._extend(part)
            case Clips(steps=steps, elapsed=elapsed, norms=norms):
                self._window.clip(steps)
                append({"norm": self._clipped}, steps, elapsed, {"norm": norms})
            case RunResumed():
                self.progress, self.phase = None, "starting the trainer"
                self.devices.clear()  # it may go on on others
            case RunRestarted():
                self.progress, self.phase = None, "starting the trainer"
            case PhaseEntered(phase=phase, detail=detail):
                self.phase = f"{phase}: {detail}" if detail else phase
            case TrainingStarted():
                self.cautions = cautions(self._trained, part)
            case PassRepeated(step=step):
                self.repeats.append(step)
            case StateRestored():
                self._restored(part)
            case _:
                pass  # nothing but its note, or its place in the timeline

    def _write(self, event: Event) -> None:
        """Write down what this event, which has been folded in, comes to in the event list."""
        difference, is_best = "", False
        match event:
            case StepTaken(rank_seconds=seconds):
                self.rank_seconds = seconds
                difference = self._replay.difference(event)
            case Validated(step=step, values=values):
                difference = self._replay.difference(event)
                best = self.best
                is_best = best is not None and (best.step, best.value) == (step, values.get(best.score))
            case Analysed():
                difference = self._replay.difference(event)
            case _:
                pass
        self._chronicle.hear(event, cautions=self.cautions, difference=difference, is_best=is_best)

    def _set_clock(self, event: Event) -> None:
        """Keep the offset where it has grown: after a resume. A clock that was set back is not followed."""
        offset = event.time - event.elapsed
        if event.time and (not self.clocks or offset > self.clocks[-1][1] + CLOCK_SECONDS):
            self.clocks.append((event.elapsed, offset))

    def _extend(self, columns: Columns) -> None:
        if columns.teller == "validation":
            self._take_back(columns.steps[0], columns.values)
            columns = _told_last(columns)
            self._validated = columns.steps[-1]
        values = columns.values
        if columns.teller == "step":
            self._trained = self.plan
            shares = self._window.take(columns.steps)
            if self.clipped_step or (self.plan and self.plan.clip_norm is not None):
                values = {**values, "clipped_share": shares}
        else:
            self._judge(columns.steps, values)
        append(self._series, columns.steps, columns.elapsed, values)

    def _restored(self, event: StateRestored) -> None:
        """Go back to the step that the run goes on from; what lies behind it is told once more."""
        for name, series in self._series.items():
            behind = series.steps > event.step
            steps, values = series.steps[behind].astype(int).tolist(), series.values[behind].tolist()
            self._replay.remember(name, dict(zip(steps, values, strict=True)))
        for curves in (self._series, self.utilization, self.memory):
            kept = {name: series.until(event.step) for name, series in curves.items()}
            curves.clear()
            curves.update({name: series for name, series in kept.items() if len(series)})
        self.devices = {name: sample for name, sample in self.devices.items() if name in self.utilization}
        self._clipped = self._clipped.until(event.step)
        clipped = set(self._clipped.steps.astype(int).tolist())
        self.clipped_count, self.clipped_step = len(clipped), max(clipped, default=0)
        self._window.restored(event.step, clipped)
        self.repeats = [step for step in self.repeats if step <= event.step]
        self.rank_seconds, self._validated = [], min(self._validated, event.step)
        self._forget_best_after(event.step)
        self.set_aside += event.damaged

    def _judge(self, steps: Sequence[int], values: Mapping[str, Sequence[float | None]]) -> None:
        """Keep the best so far, or the first of these validations that is better than all before it."""
        score = metrics.score_of(values)
        if score is None:
            return
        if self.best and self.best.score != score:
            self.best = None
        for step, value in zip(steps, values[score], strict=True):
            if value is not None and (self.best is None or metrics.is_better(score, value, self.best.value)):
                self.best = Best(value, step, score)

    def _forget_best_after(self, step: int) -> None:
        if self.best and self.best.step > step:
            score, self.best = self.best.score, None
            series = self._series.get(score, Series())
            self._judge(series.steps.astype(int).tolist(), {score: series.optional_values()})

    def _take_back(self, step: int, names: Iterable[str]) -> None:
        """Forget a validation of this step, which is told again: the run was cut off between it and the next save."""
        for name in names:
            series = self._series.get(name)
            if series and series.steps[-1] == step:
                self._replay.remember(name, {step: float(series.values[-1])})
                self._series[name] = series.first(-1)
        self._forget_best_after(step - 1)

    def _sampled(self, event: DeviceSampled) -> None:
        if event.device not in self.utilization:
            self.utilization[event.device], self.memory[event.device] = Series(), Series()
        self.devices[event.device] = event
        self.sampled = max(self.sampled, event.elapsed)
        self.utilization[event.device].append(self.step, event.elapsed, event.utilization)
        share = None
        if event.memory_mib is not None and event.memory_total_mib:
            share = 100 * event.memory_mib / event.memory_total_mib
        self.memory[event.device].append(self.step, event.elapsed, share)


def _told_last(columns: Columns) -> Columns:
    """Return each step as it was told the last time in a row: a run was cut off before the next save."""
    if all(step != after for step, after in pairwise(columns.steps)):
        return columns
    last = [*(step != after for step, after in pairwise(columns.steps)), True]
    values: dict[str, Sequence[float | None]] = {
        name: list(compress(column, last)) for name, column in columns.values.items()
    }
    return Columns(columns.teller, list(compress(columns.steps, last)), list(compress(columns.elapsed, last)), values)
