"""The event list: everything of a run that deserves a line, written as its events come, one after the other."""

import math
from collections.abc import Iterable
from typing import assert_never

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
    Listening,
    NonFiniteFound,
    Noted,
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
from fbmon.store.notes.clipping import ClippingWatch
from fbmon.store.notes.edge import EdgeWatch
from fbmon.store.notes.late import LateWatch
from fbmon.store.notes.note import Kind, Level, Note
from fbmon.store.notes.rate import RateWatch
from fbmon.store.notes.spike import SpikeWatch
from fbmon.text import duration


class Chronicle:
    """Turns events into notes; what takes several steps to see, such as a spike, is left to the watches."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._step = 0  # the newest
        self._clipped: GradientClipped | None = None  # the newest
        self._checkpoint_asked = False  # by the user, and not yet saved
        self._clipping, self._edge = ClippingWatch(self._notes), EdgeWatch(self._notes)
        self._spike, self._rate = SpikeWatch(self._notes), RateWatch(self._notes)
        self._late = LateWatch(self._notes)

    @property
    def notes(self) -> list[Note]:
        """The notes in the order in which things were found; an episode's line is as of now."""
        self._clipping.write()
        return self._notes

    def hear(self, event: Event, *, cautions: Iterable[str] = (), difference: str = "", is_best: bool = False) -> None:
        """Write down what the next event tells.

        `cautions` are those of a start, `difference` is what a step taken again has otherwise than before, `is_best`
        says whether a validation is the best so far.
        """
        if difference:
            self._note(event, self._step_of(event), "warning", difference, "resume")
        match event:
            case StepTaken():
                self._step_taken(event)
            case GradientClipped():
                self._clipped = event
            case Analysed():
                self._edge.analysed(event)
                self._late.rest(event)  # an analysis takes the time of many steps
            case Validated(step=step, values=values):
                score = metrics.score_of(values) or "val_accuracy"
                shown = f"{metrics.SCORES[score]} {metrics.show(score, values.get(score))}"
                if is_best:
                    self._note(event, step, "good", f"best {shown}", "best")
                else:
                    self._note(event, step, "info", shown, "validation")
            case TrainingStarted(parameters=parameters, device=device):
                own = f"training {parameters:,} parameters on {device}"
                self._note(event, self._step, "info", "another program trains" if event.is_tracked else own, "start")
                for caution in cautions:
                    self._note(event, self._step, "warning", caution, "start")
            case CommandTaken():
                self._command_taken(event)
            case CheckpointSaved(step=step):
                level: Level = "good" if self._checkpoint_asked else "info"
                self._checkpoint_asked = False
                self._note(event, step, level, f"checkpoint of step {step} saved", "checkpoint")
            case CheckpointFailed(step=step, reason=reason, seconds=seconds):
                limit = f" for up to {duration(seconds)}, or until the run is stopped" if seconds else ""
                words = f"step {step} could not be saved: {reason}; trying again{limit}"
                self._note(event, step, "error", words, "checkpoint")
            case StateRestored():
                self._restored(event)
            case NonFiniteFound(step=step, names=names):
                self._note(event, step, "error", f"not finite at step {step}: {', '.join(names)}", "nonfinite")
            case DivergenceFound(step=step):
                self._note(event, step, "error", _diverging(event), "divergence")
            case RunRestarted(step=step, reason=reason, number=number, at_most=at_most):
                self._note(event, step, "error", f"{reason}; restart {number} of at most {at_most}", "resume")
            case Noted(step=step, text=text):
                self._note(event, step, "info", text, "note")
            case RunEnded():
                self._ended(event)
            case RunStarted() | RunResumed() | Listening() | PhaseEntered() | ProgressMade():
                pass  # nothing that deserves a line
            case PassRepeated() | DeviceSampled():
                pass  # nothing that deserves a line
            case _:
                assert_never(event)

    def _step_of(self, event: Event) -> int:
        return event.step if isinstance(event, StepTaken | Validated | Analysed) else self._step

    def _step_taken(self, event: StepTaken) -> None:
        self._step = event.step
        clipped = self._clipped
        self._clipping.step(event, clipped.norm if clipped and clipped.step == event.step else None)
        for watch in (self._spike, self._rate, self._late):
            watch.step(event)

    def _command_taken(self, event: CommandTaken) -> None:
        self._checkpoint_asked = self._checkpoint_asked or event.command == "checkpoint"
        if event.command == "resume":
            self._late.rest(event)
        words = f"{event.command.replace('_', ' ')} requested by {event.source}"
        self._note(event, self._step, "warning", words, "command")

    def _restored(self, event: StateRestored) -> None:
        self._step, self._clipped = event.step, None
        self._late.rest(event)  # the start of a trainer takes the time of many steps
        for watch in (self._clipping, self._edge, self._spike, self._rate):
            watch.restored()
        for step in event.damaged:
            words = f"the checkpoint of step {step} is damaged or of another run and was set aside"
            self._note(event, event.step, "error", words, "checkpoint")
        self._note(event, event.step, "warning", f"resumed from step {event.step}", "resume")

    def _ended(self, event: RunEnded) -> None:
        level: Level = (
            "good" if event.state == "finished" else "warning" if is_interruption(event.exit_code) else "error"
        )
        self._note(event, event.step, level, f"{event.state}: {event.reason}" if event.reason else event.state, "end")

    def _note(self, event: Event, step: int, level: Level, text: str, kind: Kind) -> None:
        self._notes.append(Note(step, event.elapsed, level, text, kind))


def _diverging(event: DivergenceFound) -> str:
    loss, start = metrics.show("loss", event.loss), metrics.show("loss", event.start_loss)
    times = event.loss / event.start_loss if event.start_loss else math.inf
    return f"diverging: loss {loss}, {times:,.0f} times that of the first step ({start}), for {event.steps} steps"
