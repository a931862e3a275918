"""Spikes: a gradient norm far above the level of the steps before it."""

from fbmon import metrics
from fbmon.events import StepTaken
from fbmon.store.notes.note import Note
from fbmon.store.notes.recent import WINDOW, Recent

FACTOR = 8.0  # times the median of the last 50 steps; ordinary full-batch norms stay within 2 to 4 times of it


class SpikeWatch:
    """Writes one note a spike into `notes`; further peaks within 50 steps of the last belong to the same one."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self._place = -1
        self.restored()
        self._before = 0.0  # the level from which the spike rose
        self._first = self._peak = (0, 0.0)  # step and norm

    def restored(self) -> None:
        """The run has gone back to an earlier step: what stands out from there on is a spike of its own."""
        self._recent = Recent()
        self._last = -WINDOW - 1  # the last step that stood out

    def step(self, event: StepTaken) -> None:
        norm = event.values.get("grad_norm")
        if norm is None:
            return
        level = self._recent.level()
        self._recent.push(norm)
        if level is not None and norm > FACTOR * level > 0:
            self._stand_out(event, norm, level)

    def _stand_out(self, event: StepTaken, norm: float, level: float) -> None:
        if event.step - self._last > WINDOW:
            self._place, self._before = len(self._notes), level
            self._first = self._peak = (event.step, norm)
            self._notes.append(Note(event.step, event.elapsed, "error", self._text(), "spike"))
        elif norm > self._peak[1]:
            self._peak = (event.step, norm)
            begun = self._notes[self._place]
            self._notes[self._place] = Note(begun.step, begun.elapsed, "error", self._text(), "spike")
        self._last = event.step

    def _text(self) -> str:
        (step, norm), (peak_step, peak) = self._first, self._peak
        before, after = metrics.show("grad_norm", self._before), metrics.show("grad_norm", norm)
        words = f"spike: gradient norm {after}, {norm / self._before:,.0f} times its recent level {before}"
        return words if peak_step == step else f"{words}, up to {metrics.show('grad_norm', peak)} at step {peak_step}"
