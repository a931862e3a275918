"""Stalls: a step that came much later than the pace of the steps before it."""

from fbmon.events import Analysed, StepTaken
from fbmon.notes.note import Note
from fbmon.notes.recent import Recent
from fbmon.text import duration

FACTOR = 10.0  # times the median pause of the last 50 steps; a validation or a checkpoint takes less
LEAST_SECONDS = 5.0


class StallWatch:
    """Writes a note into `notes` for each step that was long in coming."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self._recent = Recent()
        self._last: StepTaken | Analysed | None = None

    def step(self, event: StepTaken) -> None:
        if self._last is not None:
            self._pause(event, event.elapsed - self._last.elapsed)
        self._last = event

    def rest(self, event: Analysed) -> None:
        """What came between two steps is no part of the pause before the next one."""
        self._last = event if self._last is not None else None

    def _pause(self, event: StepTaken, seconds: float) -> None:
        usual = self._recent.level()
        if usual is not None and seconds > max(FACTOR * usual, LEAST_SECONDS):
            text = f"stalled: this step came after {duration(seconds)}, others after {duration(usual)}"
            self._notes.append(Note(event.step, event.elapsed, "warning", text, "stall"))
        self._recent.push(seconds)
