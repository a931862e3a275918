"""A run in memory: its events folded into series, notes and a state; the same from queue or journal."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, assert_never

from fbmon import metrics
from fbmon.events import (
    CheckpointFailed,
    CheckpointSaved,
    CommandTaken,
    DeviceSampled,
    Event,
    GradientClipped,
    NonFiniteFound,
    PassRepeated,
    PhaseEntered,
    ProgressMade,
    RunEnded,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.replay import Replay
from fbmon.series import Series

Level = Literal["info", "good", "warning", "error"]


@dataclass(frozen=True)
class Note:
    """One line of the event list."""

    step: int
    elapsed: float
    level: Level
    text: str


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
    progress: ProgressMade | None = None
    step: int = 0
    elapsed: float = 0.0  # of the newest event
    latest: dict[str, float | None] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    clipped: Series = field(default_factory=Series)  # the clipped steps and their norms
    devices: dict[str, DeviceSampled] = field(default_factory=dict)
    utilization: dict[str, Series] = field(default_factory=dict)  # percent, by device
    memory: dict[str, Series] = field(default_factory=dict)  # percent of the device's own, by device
    best: Best | None = None
    notes: list[Note] = field(default_factory=list)
    ended: RunEnded | None = None
    _replay: Replay = field(default_factory=Replay)
    _streak: int = 0  # clipped steps without a pause, up to now
    _pace: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=50))

    @property
    def steps(self) -> int:
        """The number of steps this run is to take; 0 until it is known."""
        return self.plan.steps if self.plan else self.began.steps if self.began else 0

    def seconds_left(self) -> float | None:
        """The time to the last step at the pace of the last 50, validation included; None while there is no pace."""
        if self.ended or len(self._pace) < 2:
            return None
        (first_step, first_time), (last_step, last_time) = self._pace[0], self._pace[-1]
        return (last_time - first_time) / (last_step - first_step) * (self.steps - self.step)

    def clipped_share(self) -> float:
        """The share of the steps taken that were clipped."""
        return len(self.clipped) / self.step if self.step else 0.0

    def apply(self, event: Event) -> None:
        """Fold in the next event."""
        if isinstance(event, ProgressMade):
            self.progress = event
            return
        if isinstance(event, DeviceSampled):
            self._sampled(event)
            return
        self.elapsed = max(self.elapsed, event.elapsed)
        match event:
            case RunStarted():
                self.began = event
            case RunResumed():
                self.ended, self.progress, self.phase = None, None, "starting the trainer"
            case PhaseEntered(phase=phase):
                self.phase = phase
            case TrainingStarted():
                self.plan = event
                self._note(event, 0, "info", f"training {event.parameters:,} parameters on {event.device}")
            case GradientClipped(step=step, norm=norm):
                self.clipped.append(step, event.elapsed, norm)
            case PassRepeated():
                pass  # costs one pass, changes nothing that is shown
            case StepTaken():
                self._step_taken(event)
            case Validated():
                self._validated(event)
            case CheckpointSaved(step=step):
                self._note(event, step, "info", f"checkpoint of step {step} saved")
            case CheckpointFailed(step=step, reason=reason):
                self._note(event, step, "error", f"step {step} could not be saved: {reason}; it is tried again")
            case StateRestored():
                self._restored(event)
            case NonFiniteFound(step=step, names=names):
                self._note(event, step, "error", f"not finite at step {step}: {', '.join(names)}")
            case CommandTaken(command=command, source=source):
                self._note(event, self.step, "warning", f"{command} asked for by {source}")
            case RunEnded():
                self._ended(event)
            case _:
                assert_never(event)

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
        self.clipped = self.clipped.until(event.step)
        self.latest = {name: series.last() for name, series in self.series.items()}
        self.step, self._streak = event.step, 0
        self._pace.clear()
        if self.best and self.best.step > event.step:
            self.best = _best(self.series.get("val_accuracy", Series()))
        for step in event.damaged:
            self._note(event, event.step, "error", f"the checkpoint of step {step} is damaged and was set aside")
        self._note(event, event.step, "warning", f"resumed from step {event.step}")

    def _step_taken(self, event: StepTaken) -> None:
        self.step = event.step
        self._pace.append((event.step, event.elapsed))
        self._record(event)
        was_clipped = len(self.clipped) > 0 and self.clipped.steps[-1] == event.step
        if was_clipped and not self._streak:
            norm = metrics.show("grad_norm", self.clipped.last())
            self._note(event, event.step, "warning", f"clipping engaged (norm {norm})")
        if self._streak and not was_clipped:
            steps = "1 step" if self._streak == 1 else f"{self._streak} steps in a row"
            self._note(event, event.step, "good", f"clipping released after {steps}")
        self._streak = self._streak + 1 if was_clipped else 0

    def _validated(self, event: Validated) -> None:
        self._record(event)
        accuracy = event.values.get("val_accuracy")
        if accuracy is None or (self.best and accuracy <= self.best.value):
            return
        self.best = Best(accuracy, event.step)
        self._note(event, event.step, "good", f"best validation accuracy {metrics.show('val_accuracy', accuracy)}")

    def _ended(self, event: RunEnded) -> None:
        self.ended = event
        level: Level = "good" if event.state == "finished" else "warning" if event.exit_code in (75, 130) else "error"
        self._note(event, event.step, level, f"{event.state}: {event.reason}" if event.reason else event.state)

    def _record(self, event: StepTaken | Validated) -> None:
        difference = self._replay.difference(event)
        if difference:
            self._note(event, event.step, "warning", difference)
        for name, value in event.values.items():
            self.latest[name] = value
            self.series.setdefault(name, Series()).append(event.step, event.elapsed, value)

    def _sampled(self, event: DeviceSampled) -> None:
        self.devices[event.device] = event
        self.utilization.setdefault(event.device, Series()).append(self.step, event.elapsed, event.utilization)
        share = None
        if event.memory_mib is not None and event.memory_total_mib:
            share = 100 * event.memory_mib / event.memory_total_mib
        self.memory.setdefault(event.device, Series()).append(self.step, event.elapsed, share)

    def _note(self, event: Event, step: int, level: Level, text: str) -> None:
        self.notes.append(Note(step, event.elapsed, level, text))


def _best(accuracies: Series) -> Best | None:
    known = [(value, -step) for step, value in zip(accuracies.steps, accuracies.values, strict=True) if value == value]
    value, step = max(known, default=(None, 0))
    return None if value is None else Best(float(value), int(-step))
