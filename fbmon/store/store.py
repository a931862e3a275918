"""A run in memory: its events folded into series, notes and a state; the same from queue or journal."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from fbmon import metrics
from fbmon.errors import is_interruption
from fbmon.events import (
    Analysed,
    CheckpointFailed,
    CheckpointSaved,
    CommandTaken,
    DeviceSampled,
    DivergenceFound,
    Event,
    GradientClipped,
    NonFiniteFound,
    PassRepeated,
    PhaseEntered,
    ProgressMade,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.store.notes import ClippingWatch, EdgeWatch, Kind, Level, Note, RateWatch, SpikeWatch, StallWatch, cautions
from fbmon.store.pace import Pace
from fbmon.store.replay import Replay
from fbmon.store.series import Floats, Series
from fbmon.text import duration

SHARE_STEPS = 50  # the window of the clipped share
CLOCK_SECONDS = 2.0  # a wall clock that has gained less on the run's own is still the same one


@dataclass(frozen=True)
class Best:
    """The highest validation accuracy, and the step that had it first."""

    value: float
    step: int


@dataclass
class Store:
    """Everything the screens know of a run. Only `apply` changes it."""

    began: RunStarted | None = None
    phase: str = "starting the trainer"
    plan: TrainingStarted | None = None
    cautions: list[str] = field(default_factory=list)  # of the newest start
    progress: ProgressMade | None = None
    step: int = 0
    elapsed: float = 0.0  # of the newest event
    sampled: float = 0.0  # elapsed, of the newest look at a device: comes every second, also where the training waits
    latest: dict[str, float | None] = field(default_factory=dict)
    rank_seconds: list[float] = field(default_factory=list)  # of the newest step, where several ranks shared it
    series: dict[str, Series] = field(default_factory=dict)
    clipped: Series = field(default_factory=Series)  # the clipped steps and their norms
    devices: dict[str, DeviceSampled] = field(default_factory=dict)
    utilization: dict[str, Series] = field(default_factory=dict)  # percent, by device
    memory: dict[str, Series] = field(default_factory=dict)  # percent of the device's own, by device
    best: Best | None = None
    paused_since: float | None = None  # elapsed; None where the training is not paused
    paused_before: float = 0.0  # seconds of the pauses that are over
    ended: RunEnded | None = None
    set_aside: list[int] = field(default_factory=list)  # the steps of checkpoints that could not be used
    repeats: list[int] = field(default_factory=list)  # steps whose pass over the data was repeated
    clocks: list[tuple[float, float]] = field(default_factory=list)  # from when on, how far 1970 is behind `elapsed`
    _trained: TrainingStarted | None = None  # the start of the trainer that took the newest step
    _checkpoint_asked: bool = False  # by the user, and not yet saved
    _clipped_step: int = 0  # the last one, with its norm
    _clipped_norm: float = 0.0
    _replay: Replay = field(default_factory=Replay)
    _notes: list[Note] = field(default_factory=list)
    _pace: Pace = field(default_factory=Pace)
    _window: deque[bool] = field(default_factory=lambda: deque(maxlen=SHARE_STEPS))  # which of the last were clipped

    def __post_init__(self) -> None:
        self._clipping = ClippingWatch(self._notes)
        self._edge, self._stall = EdgeWatch(self._notes), StallWatch(self._notes)
        self._spike, self._rate = SpikeWatch(self._notes), RateWatch(self._notes)

    @property
    def notes(self) -> list[Note]:
        """The event list, in the order in which things were found; an episode's line is as of now."""
        self._clipping.write()
        return self._notes

    @property
    def steps(self) -> int:
        """The number of steps this run is to take; 0 until it is known."""
        return self.plan.steps if self.plan else self.began.steps if self.began else 0

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

    def clipped_share(self) -> float:
        """The share of the steps taken that were clipped."""
        # A step's clipping is told before the step itself.
        return int(self.clipped.steps.searchsorted(self.step, "right")) / self.step if self.step else 0.0

    def paused_seconds(self, elapsed: float) -> float:
        """Return how long the training has been paused in all, up to a moment that is not before the newest event."""
        return self.paused_before + (0.0 if self.paused_since is None else elapsed - self.paused_since)

    def apply(self, event: Event) -> None:
        """Fold in the next event."""
        if isinstance(event, ProgressMade):
            self.progress = event
            return
        if isinstance(event, DeviceSampled):
            self._sampled(event)
            return
        self.elapsed = max(self.elapsed, event.elapsed)
        if event.time:
            self._set_clock(event.elapsed, event.time - event.elapsed)
        match event:
            case RunStarted():
                self.began = event
            case RunResumed():
                self._end_pause()  # it was stopped or killed meanwhile
                self.ended, self.progress, self.phase = None, None, "starting the trainer"
                self.devices.clear()  # it may go on on others
            case RunRestarted(step=step, reason=reason, number=number, at_most=at_most):
                self._end_pause()
                self.progress, self.phase = None, "starting the trainer"
                self._note(event, step, "error", f"{reason}; restart {number} of at most {at_most}", "resume")
            case PhaseEntered(phase=phase, detail=detail):
                self.phase = f"{phase}: {detail}" if detail else phase
            case TrainingStarted():
                self.cautions, self.plan = cautions(self._trained, event), event
                self._note(
                    event, self.step, "info", f"training {event.parameters:,} parameters on {event.device}", "start"
                )
                for caution in self.cautions:
                    self._note(event, self.step, "warning", caution, "start")
            case GradientClipped(step=step, norm=norm):
                self._clipped_step, self._clipped_norm = step, norm
                self.clipped.append(step, event.elapsed, norm)
            case PassRepeated(step=step):
                self.repeats.append(step)
            case StepTaken():
                self._step_taken(event)
            case Validated():
                self._validated(event)
            case Analysed():
                self._record(event)
                self._edge.analysed(event)
                self._stall.rest(event)  # an analysis takes the time of many steps
            case CheckpointSaved(step=step):
                level: Level = "good" if self._checkpoint_asked else "info"
                self._checkpoint_asked = False
                self._note(event, step, level, f"checkpoint of step {step} saved", "checkpoint")
            case CheckpointFailed(step=step, reason=reason, seconds=seconds):
                limit = f" for up to {duration(seconds)}, or until the run is stopped" if seconds else ""
                words = f"step {step} could not be saved: {reason}; it is tried again{limit}"
                self._note(event, step, "error", words, "checkpoint")
            case StateRestored():
                self._restored(event)
            case NonFiniteFound(step=step, names=names):
                self._note(event, step, "error", f"not finite at step {step}: {', '.join(names)}", "nonfinite")
            case DivergenceFound(step=step):
                self._note(event, step, "error", _diverging(event), "divergence")
            case CommandTaken(command=command, source=source):
                self._checkpoint_asked = self._checkpoint_asked or command == "checkpoint"
                if command == "pause" and self.paused_since is None:
                    self.paused_since = event.elapsed
                if command == "resume":
                    self._end_pause()
                    self._stall.rest(event)
                self._note(event, self.step, "warning", f"{command.replace('_', ' ')} asked for by {source}", "command")
            case RunEnded():
                self._ended(event)
            case _:
                assert_never(event)

    def _end_pause(self) -> None:
        if self.paused_since is not None:
            self._pace.rest(self.elapsed - self.paused_since)
        self.paused_before, self.paused_since = self.paused_seconds(self.elapsed), None

    def _set_clock(self, elapsed: float, offset: float) -> None:
        """Keep the offset where it has grown: after a resume. A clock that was set back is not followed."""
        if not self.clocks or offset > self.clocks[-1][1] + CLOCK_SECONDS:
            self.clocks.append((elapsed, offset))

    def _restored(self, event: StateRestored) -> None:
        """Go back to the step that the run goes on from; what lies behind it is told once more."""
        for name, series in self.series.items():
            behind = series.steps > event.step
            steps, values = series.steps[behind].astype(int).tolist(), series.values[behind].tolist()
            self._replay.remember(name, dict(zip(steps, values, strict=True)))
        for curves in (self.series, self.utilization, self.memory):
            kept = {name: series.until(event.step) for name, series in curves.items()}
            curves.clear()
            curves.update({name: series for name, series in kept.items() if len(series)})
        self.devices = {name: sample for name, sample in self.devices.items() if name in self.utilization}
        self.clipped = self.clipped.until(event.step)
        self.repeats = [step for step in self.repeats if step <= event.step]
        self.latest = {name: series.last() for name, series in self.series.items()}
        self.step, self._clipped_step, self.rank_seconds = event.step, 0, []
        self._pace.restored(event.step)
        self._stall.rest(event)  # the start of a trainer takes the time of many steps
        for watch in (self._clipping, self._edge, self._spike, self._rate):
            watch.restored()
        clipped = set(self.clipped.steps[-SHARE_STEPS:].tolist())
        self._window.clear()
        self._window.extend(step in clipped for step in range(max(1, event.step - SHARE_STEPS + 1), event.step + 1))
        self._forget_best_after(event.step)
        self.set_aside += event.damaged
        for step in event.damaged:
            words = f"the checkpoint of step {step} is damaged or of another run and was set aside"
            self._note(event, event.step, "error", words, "checkpoint")
        self._note(event, event.step, "warning", f"resumed from step {event.step}", "resume")

    def _step_taken(self, event: StepTaken) -> None:
        self.step, self._trained = event.step, self.plan
        self.rank_seconds = event.rank_seconds
        self._pace.step(event)
        self._record(event)
        norm = self._clipped_norm if self._clipped_step == event.step else None
        self._window.append(norm is not None)
        if self._clipped_step or (self.plan and self.plan.clip_norm is not None):
            self._remember("clipped_share", event, self._window.count(True) / len(self._window))
        self._clipping.step(event, norm)
        for watch in (self._spike, self._rate, self._stall):
            watch.step(event)

    def _forget_best_after(self, step: int) -> None:
        if self.best and self.best.step > step:
            accuracies = self.series.get("val_accuracy", Series())
            self.best = best_of(accuracies.steps, accuracies.values)

    def take_back(self, step: int, names: Iterable[str]) -> None:
        """Forget a validation of this step, which is told again: the run was cut off between it and the next save."""
        for name in names:
            series = self.series.get(name)
            if series and series.steps[-1] == step:
                self._replay.remember(name, {step: float(series.values[-1])})
                self.series[name] = series.first(-1)
        self._forget_best_after(step - 1)

    def _validated(self, event: Validated) -> None:
        self.take_back(event.step, event.values)
        if self._validation_every:  # where none is foreseen, their time counts as that of the steps
            self._pace.validated(event)
        self._record(event)
        accuracy = event.values.get("val_accuracy")
        shown = metrics.show("val_accuracy", accuracy)
        if accuracy is None or (self.best and accuracy <= self.best.value):
            self._note(event, event.step, "info", f"validation accuracy {shown}", "validation")
            return
        self.best = Best(accuracy, event.step)
        self._note(event, event.step, "good", f"best validation accuracy {shown}", "best")

    def _ended(self, event: RunEnded) -> None:
        self._end_pause()
        self.ended = event
        level: Level = (
            "good" if event.state == "finished" else "warning" if is_interruption(event.exit_code) else "error"
        )
        self._note(event, event.step, level, f"{event.state}: {event.reason}" if event.reason else event.state, "end")

    def _record(self, event: StepTaken | Validated | Analysed) -> None:
        difference = self._replay.difference(event)
        if difference:
            self._note(event, event.step, "warning", difference, "resume")
        self.latest.update(event.values)
        for name, value in event.values.items():
            self._remember(name, event, value)

    def _remember(self, name: str, event: StepTaken | Validated | Analysed, value: float | None) -> None:
        self.latest[name] = value
        series = self.series.get(name)
        if series is None:
            series = self.series[name] = Series()
        series.append(event.step, event.elapsed, value)

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

    def _note(self, event: Event, step: int, level: Level, text: str, kind: Kind) -> None:
        self._notes.append(Note(step, event.elapsed, level, text, kind))


def _diverging(event: DivergenceFound) -> str:
    loss, start = metrics.show("loss", event.loss), metrics.show("loss", event.start_loss)
    times = event.loss / event.start_loss if event.start_loss else math.inf
    return f"diverging: loss {loss}, {times:,.0f} times that of the first step ({start}), for {event.steps} steps"


def best_of(steps: Floats, accuracies: Floats) -> Best | None:
    """The highest of the accuracies at ascending steps; None where none is known."""
    if np.isnan(accuracies).all():
        return None
    place = int(np.nanargmax(accuracies))
    return Best(float(accuracies[place]), int(steps[place]))
