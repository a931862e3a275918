"""What is asked about a run's minimum and what a recipe would cost, without torch; worker/ has the answers."""

from fbmon.analysis.asked import Answer, Ascent, Point, Probe, Radius, Setting, Task
from fbmon.analysis.record import Record

__all__ = ["Answer", "Ascent", "Point", "Probe", "Radius", "Record", "Setting", "Task"]
