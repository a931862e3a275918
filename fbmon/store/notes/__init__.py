"""Notes for the event list, found in the stream of steps: one note an episode, however long it is."""

from fbmon.store.notes.clipping import ClippingWatch
from fbmon.store.notes.edge import EdgeWatch
from fbmon.store.notes.machine import cautions, differences, moved
from fbmon.store.notes.note import Kind, Level, Note
from fbmon.store.notes.rate import RateWatch
from fbmon.store.notes.spike import SpikeWatch
from fbmon.store.notes.stall import StallWatch

__all__ = [
    "ClippingWatch",
    "EdgeWatch",
    "Kind",
    "Level",
    "Note",
    "RateWatch",
    "SpikeWatch",
    "StallWatch",
    "cautions",
    "differences",
    "moved",
]
