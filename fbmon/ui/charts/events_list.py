"""The event list: what happened, newest last, with the event at the cursor of the charts marked."""

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from fbmon.store.notes import Note
from fbmon.text import clean, duration
from fbmon.ui.charts.signs import ORDER, SIGNS, is_listed
from fbmon.ui.charts.view import View

_STYLES = {
    "info": Style(),
    "good": Style(color="green"),
    "warning": Style(color="yellow"),
    "error": Style(color="red", bold=True),
}


class EventList(Widget):
    """The list of as many notes as fit: the last ones, or those around the cursor."""

    DEFAULT_CSS = "EventList { height: 3; padding: 0 1; background: $surface; }"

    def __init__(self, *, takes_room: bool = True) -> None:
        """Make an empty list; one that `takes_room` stays in sight when no events are to be listed."""
        super().__init__(id="events")
        self._takes_room = takes_room
        self._notes: list[Note] = []
        self._chosen: int | None = None
        self._back = 0  # how many notes the wheel has scrolled back

    def show(self, notes: list[Note], view: View) -> None:
        """List those of the notes that the view asks for, around its cursor."""
        if not self._takes_room:
            self.display = view.events != "none"
        notes, cursor = listed(notes, view), view.cursor
        chosen = None if cursor is None else at_or_before(notes, cursor.step)
        if (notes, chosen) != (self._notes, self._chosen):
            if chosen != self._chosen:
                self._back = 0
            self._notes, self._chosen = notes, chosen
            self.refresh()

    def on_mouse_scroll_up(self) -> None:
        self._scroll(1)

    def on_mouse_scroll_down(self) -> None:
        self._scroll(-1)

    def render_line(self, y: int) -> Strip:
        index = self._first() + y
        width, style = self.size.width, self.rich_style
        if not 0 <= index < len(self._notes):
            return Strip.blank(width, style)
        note = self._notes[index]
        mark = Style(reverse=True) if index == self._chosen else Style()
        where = f"{duration(note.elapsed):>8}  step {note.step:>5}  "
        segments = [
            Segment(where, style + Style(dim=True) + mark),
            Segment(f"{SIGNS[note.kind]} {clean(note.text)}", style + _STYLES[note.level] + mark),
        ]
        return Strip(segments).adjust_cell_length(width, style)

    def _scroll(self, back: int) -> None:
        self._back = min(max(self._back + back, 0), max(len(self._notes) - self.size.height, 0))
        self.refresh()

    def _first(self) -> int:
        height, count = self.size.height, len(self._notes)
        if self._chosen is None:
            return max(0, count - height - self._back)
        return min(max(0, self._chosen - height // 2 - self._back), max(0, count - height))


def listed(notes: list[Note], view: View) -> list[Note]:
    """Return the notes that the view asks for."""
    return [note for note in notes if is_listed(note, view.events)]


def at_or_before(notes: list[Note], step: float) -> int | None:
    """The place of the note at the last step that is not behind `step`; of several there the weightiest."""
    before = [index for index, note in enumerate(notes) if note.step <= step]
    return max(before, key=lambda index: (notes[index].step, ORDER.index(notes[index].kind)), default=None)
