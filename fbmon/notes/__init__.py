"""What deserves a line in the event list, found in the stream of steps: one note an episode, however long it is."""

from fbmon.notes.clipping import ClippingWatch
from fbmon.notes.edge import EdgeWatch
from fbmon.notes.machine import cautions, differences, moved
from fbmon.notes.note import Kind, Level, Note
from fbmon.notes.rate import RateWatch
from fbmon.notes.spike import SpikeWatch
from fbmon.notes.stall import StallWatch

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
