"""What a run's minimum looks like: what is asked, the processes that compute it, and the answers kept in its folder."""

from fbmon.analysis.asked import Answer, Ascent, Point, Probe, Radius, Setting, Task
from fbmon.analysis.record import Record

__all__ = ["Answer", "Ascent", "Point", "Probe", "Radius", "Record", "Setting", "Task"]
