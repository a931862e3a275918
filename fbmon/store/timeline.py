"""The course of a run: its plan, steps, pauses, clipped steps and end, folded from its events, without a single curve.

`Store` adds to it what screens draw, `Summary` what tables show. Both are folded by stretches, of which a live event is
one of length one. Nothing here knows numpy: a table of a thousand runs is there before numpy would be.
"""

from collections.abc import Sequence

import msgspec

from fbmon.events import (
    CommandTaken,
    Event,
    GradientClipped,
    Listening,
    RunEnded,
    RunRestarted,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
)
from fbmon.run.journal_columns import Clips, Columns, Part

_SILENT_SECONDS = 60.0
_SILENT_STEPS = 3.0  # times the slowest step


def is_silent(seconds: float, slowest_step: float = 0.0) -> bool:
    """Say whether a living run that has told nothing for so many seconds has stalled; slow steps have more time."""
    return seconds > max(_SILENT_SECONDS, _SILENT_STEPS * slowest_step)


class Timeline(msgspec.Struct, omit_defaults=True):
    """A run up to its newest event."""

    began: RunStarted | None = None
    plan: TrainingStarted | None = None
    step: int = 0
    elapsed: float = 0.0  # of the newest event
    clipped_count: int = 0  # steps that were clipped, one that is taken again after a resume only once
    clipped_step: int = 0  # the last of them; told before the step itself
    paused_since: float | None = None  # elapsed; None where the training is not paused
    paused_before: float = 0.0  # seconds of the pauses that are over
    ended: RunEnded | None = None
    listens: bool = True  # to commands, as fbmon's own trainer always does

    @property
    def steps(self) -> int:
        """The number of steps this run is to take; 0 until it is known."""
        return self.plan.steps if self.plan else self.began.steps if self.began else 0

    def paused_seconds(self, elapsed: float) -> float:
        """Return how long the training has been paused in all, up to a moment that is not before the newest event."""
        return self.paused_before + (0.0 if self.paused_since is None else elapsed - self.paused_since)

    def clipped_share(self) -> float:
        """Return the share of the steps that were clipped; 0 before the first step is over."""
        # Until a resumed run has come as far again, those are counted that are yet to be told a second time.
        return self.clipped_count / max(self.step, self.clipped_step) if self.step else 0.0

    def take(self, part: Part) -> None:
        """Fold in what comes next: one event, or columns of many."""
        match part:
            case Columns(teller=teller, steps=steps, elapsed=elapsed):
                self.elapsed = max(self.elapsed, *elapsed)
                if teller == "step":
                    self.step = steps[-1]
            case Clips(steps=steps, elapsed=elapsed):
                self.elapsed = max(self.elapsed, *elapsed)
                self._count_clipped(steps)
            case _:
                self.elapsed = max(self.elapsed, part.elapsed)
                self._turn(part)

    def _turn(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.began, self.ended = event, None
            case RunResumed():
                self._end_pause()  # it was stopped or killed meanwhile
                self.ended = None
            case RunRestarted():
                self._end_pause()
            case TrainingStarted():
                self.plan, self.listens = event, not event.is_tracked
            case Listening():
                self.listens = True
            case StepTaken(step=step) | StateRestored(step=step):
                self.step = step
            case GradientClipped(step=step):
                self._count_clipped((step,))
            case CommandTaken(command="pause") if self.paused_since is None:
                self.paused_since = event.elapsed
            case CommandTaken(command="resume"):
                self._end_pause()
            case RunEnded():
                self._end_pause()
                self.ended = event
            case _:
                pass  # nothing on which a run's course depends

    def _end_pause(self) -> None:
        self.paused_before, self.paused_since = self.paused_seconds(self.elapsed), None

    def _count_clipped(self, steps: Sequence[int]) -> None:
        new = {step for step in steps if step > self.clipped_step}
        self.clipped_count += len(new)
        self.clipped_step = max(new, default=self.clipped_step)
