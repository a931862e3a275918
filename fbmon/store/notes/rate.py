"""Phases of the learning rate, read from the rates that were used: warm-up over, falling, drops, constant."""

from typing import Literal

from fbmon import metrics
from fbmon.events import StepTaken
from fbmon.store.notes.note import Note

STEADY = 10  # equal rates in a row make a constant phase: a cosine stands still for a step at its top
DROP = 0.1  # a fall by this share in one step is a drop of its own, if the rate stood still before

Trend = Literal["unknown", "rising", "top", "falling", "constant"]


class RateWatch:
    """Writes a note into `notes` where a phase begins."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self.restored()

    def restored(self) -> None:
        """The run has gone back to an earlier step: its rate does not come from that of the step before."""
        self._trend: Trend = "unknown"
        self._last: StepTaken | None = None
        self._rate = 0.0  # of the last step
        self._since: StepTaken | None = None  # the first of the steps that had this rate
        self._repeated = 0  # how many had it after that one

    def step(self, event: StepTaken) -> None:
        rate = event.values.get("learning_rate")
        if rate is None:
            return
        if self._last is None:
            self._since = event
        elif rate > self._rate:
            self._rises(event)
        elif rate == self._rate:
            self._stays(self._last)
        else:
            self._falls(event, self._last, rate)
        if rate != self._rate:
            self._since, self._repeated = event, 0
        self._last, self._rate = event, rate

    def _rises(self, event: StepTaken) -> None:
        if self._trend in ("constant", "falling"):
            self._note(event, f"learning rate rises from {_show(self._rate)}")
        self._trend = "rising"

    def _stays(self, last: StepTaken) -> None:
        self._top(last)
        self._repeated += 1
        if self._repeated == STEADY - 1:
            if self._trend == "falling" and self._since is not None:
                self._note(self._since, f"learning rate stays at {_show(self._rate)}")
            self._trend = "constant"

    def _falls(self, event: StepTaken, last: StepTaken, rate: float) -> None:
        self._top(last)
        if self._repeated and rate < (1 - DROP) * self._rate:
            self._note(event, f"learning rate drops from {_show(self._rate)} to {_show(rate)}")
            self._trend = "constant"
            return
        if self._trend == "constant":
            self._note(event, f"learning rate falls from {_show(self._rate)}")
        self._trend = "falling"

    def _top(self, last: StepTaken) -> None:
        if self._trend == "rising":
            self._note(last, f"warm-up over, learning rate {_show(self._rate)}")
            self._trend = "top"

    def _note(self, event: StepTaken, text: str) -> None:
        self._notes.append(Note(event.step, event.elapsed, "info", text, "rate"))


def _show(rate: float) -> str:
    return metrics.show("learning_rate", rate)
