"""Questions about a run's minimum and about the cost of a recipe, without torch; worker/ has the answers."""

from fbmon.analysis.asked import Answer, Ascent, Point, Probe, Radius, Setting, Task
from fbmon.analysis.record import Record

__all__ = ["Answer", "Ascent", "Point", "Probe", "Radius", "Record", "Setting", "Task"]
