"""Notes for the event list, found in the stream of steps: one note an episode, however long it is."""

from fbmon.store.notes.chronicle import Chronicle
from fbmon.store.notes.machine import cautions, differences, moved
from fbmon.store.notes.note import Kind, Level, Note

__all__ = ["Chronicle", "Kind", "Level", "Note", "cautions", "differences", "moved"]
