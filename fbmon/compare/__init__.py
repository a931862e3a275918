"""Many runs, one clear answer: runs read, chosen, sorted, grouped and laid out as a table; plain data.

run.py reads one; query.py and select.py choose; fields.py names what can be said of a run, and columns.py, order.py and
group.py are told in those names; table.py lays out and render.py writes.
"""

from fbmon.compare.run import Run, read
from fbmon.compare.select import select

__all__ = ["Run", "read", "select"]
