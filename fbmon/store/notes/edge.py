"""The edge of stability: the sharpness has risen to the limit of the optimizer (Cohen et al. 2021)."""

from dataclasses import dataclass

from fbmon import metrics
from fbmon.events import Analysed
from fbmon.store.notes.note import Note

LEFT = 0.8  # times the limit: at the edge the sharpness swings about it, and that is one stay
VAGUE = 0.05  # times the sharpness: a larger residual is worth a word


@dataclass
class Stay:
    """A stay at the edge, from the measurement that reached it."""

    place: int  # of its note
    step: int
    elapsed: float
    sharpness: float
    limit: float
    highest: float
    count: int = 0  # measurements

    def text(self, left: int | None = None) -> str:
        first, limit = metrics.show("sharpness", self.sharpness), metrics.show("stability_limit", self.limit)
        words = f"edge of stability reached (sharpness {first}, limit {limit})"
        if self.count > 1:
            words += f", {self.count:,} measurements there, up to {metrics.show('sharpness', self.highest)}"
        return words if left is None else f"{words}; left at step {left}"


class EdgeWatch:
    """Writes one note a stay into `notes`, and one where a sharpness is not to be relied on."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self._stay: Stay | None = None
        self._sharpness: tuple[int, float] | None = None  # the newest, and the step that it is of
        self._is_vague = False

    def analysed(self, event: Analysed) -> None:
        """The sharpness of a step comes before it, the limit, which may depend on its clipping, after it."""
        sharpness, limit = event.values.get("sharpness"), event.values.get("stability_limit")
        if sharpness is not None:
            self._sharpness = event.step, sharpness
            self._doubt(event, sharpness)
        if limit is not None and self._sharpness and self._sharpness[0] == event.step:
            self._compare(event, self._sharpness[1], limit)

    def restored(self) -> None:
        """The run has gone back to an earlier step: what follows is a stay of its own."""
        self._stay = self._sharpness = None

    def _compare(self, event: Analysed, sharpness: float, limit: float) -> None:
        stay = self._stay
        if stay is None and sharpness >= limit:
            stay = self._stay = Stay(len(self._notes), event.step, event.elapsed, sharpness, limit, sharpness)
            self._notes.append(Note(event.step, event.elapsed, "info", "", "edge"))
        if stay is None:
            return
        if sharpness < LEFT * limit:
            self._write(stay, stay.text(event.step))
            self._stay = None
            return
        stay.count += 1
        stay.highest = max(stay.highest, sharpness)
        self._write(stay, stay.text())

    def _write(self, stay: Stay, text: str) -> None:
        self._notes[stay.place] = Note(stay.step, stay.elapsed, "info", text, "edge")

    def _doubt(self, event: Analysed, sharpness: float) -> None:
        is_vague = event.residual is not None and event.residual > VAGUE * abs(sharpness)
        if is_vague and not self._is_vague and event.residual is not None:
            text = (
                f"sharpness {metrics.show('sharpness', sharpness)} is only known to within {event.residual:.2g}: "
                "analysis.products allows more products"
            )
            self._notes.append(Note(event.step, event.elapsed, "warning", text, "edge"))
        self._is_vague = is_vague
