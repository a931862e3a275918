"""Episodes of clipping: engaged at a step, released when many steps in a row were not clipped."""

from dataclasses import dataclass

from fbmon import metrics
from fbmon.events import StepTaken
from fbmon.store.notes.note import Note
from fbmon.text import percent

QUIET = 20  # steps without clipping end an episode: at the edge of the threshold every second step may be clipped


@dataclass
class Episode:
    """The clipped steps from the one that engaged it."""

    place: int  # of its note
    first: StepTaken
    norm: float
    last: int
    count: int = 0
    streak: int = 0
    longest: int = 0
    largest: float = 0.0
    is_over: bool = False

    def clip(self, step: int, norm: float) -> None:
        self.streak = self.streak + 1 if step == self.last + 1 else 1
        self.longest = max(self.longest, self.streak)
        self.largest = max(self.largest, norm)
        self.count += 1
        self.last = step

    def text(self) -> str:
        words = f"clipping engaged (norm {metrics.show('grad_norm', self.norm)}"
        if self.largest > 1.1 * self.norm:
            words += f", up to {metrics.show('grad_norm', self.largest)}"
        span = self.last - self.first.step + 1
        if self.count == span:
            words += "), 1 step" if span == 1 else f"), {span:,} steps in a row"
        else:
            words += f"), {self.count:,} of {span:,} steps ({percent(self.count / span)}), {self.longest:,} in a row"
        return words + (f", released after step {self.last}" if self.is_over else "")


class ClippingWatch:
    """Writes one note an episode into `notes`; its text is made when it is asked for, not at every step."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self._episode: Episode | None = None

    def step(self, event: StepTaken, norm: float | None) -> None:
        """The next step, and its norm where it was clipped."""
        episode = self._episode
        if norm is not None:
            episode = episode or self._engage(event, norm)
            episode.clip(event.step, norm)
        elif episode is not None and event.step - episode.last > QUIET:
            self._release(episode)

    def restored(self) -> None:
        """The run has gone back to an earlier step: its episode ends here."""
        if self._episode is not None:
            self._release(self._episode)

    def write(self) -> None:
        """Bring the note of the present episode up to date."""
        if self._episode is not None:
            first = self._episode.first
            note = Note(first.step, first.elapsed, "warning", self._episode.text(), "clipping")
            self._notes[self._episode.place] = note

    def _engage(self, event: StepTaken, norm: float) -> Episode:
        self._episode = Episode(len(self._notes), event, norm, event.step - 1)
        self._notes.append(Note(event.step, event.elapsed, "warning", "", "clipping"))
        return self._episode

    def _release(self, episode: Episode) -> None:
        episode.is_over = True
        self.write()
        self._episode = None
