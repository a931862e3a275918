"""Late steps: one that came much later than the pace of the steps before it."""

from fbmon.events import Analysed, CommandTaken, StateRestored, StepTaken
from fbmon.store.notes.note import Note
from fbmon.store.notes.recent import Recent
from fbmon.text import duration

FACTOR = 10.0  # times the median wait of the last 50 steps; a validation or a checkpoint takes less
LEAST_SECONDS = 5.0


class LateWatch:
    """Writes a note into `notes` for each step that was long in coming."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self._recent = Recent()
        self._began: float | None = None  # elapsed, what the next step is timed from

    def step(self, event: StepTaken) -> None:
        if self._began is not None:
            self._wait(event, event.elapsed - self._began)
        self._began = event.elapsed

    def rest(self, event: Analysed | CommandTaken | StateRestored) -> None:
        """Leave what came between two steps and ends now, such as a pause, out of the wait for the next one."""
        if self._began is not None:
            self._began = event.elapsed

    def _wait(self, event: StepTaken, seconds: float) -> None:
        usual = self._recent.level()
        if usual is not None and seconds > max(FACTOR * usual, LEAST_SECONDS):
            text = f"stalled: this step took {duration(seconds)}, others {duration(usual)}"
            self._notes.append(Note(event.step, event.elapsed, "warning", text, "stall"))
        self._recent.push(seconds)
