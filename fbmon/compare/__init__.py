"""Many runs, one clear answer: runs read, chosen, sorted, grouped and laid out as a table; plain data.

run.py reads one; query.py and select.py choose; fields.py names the fields of a run, by which columns.py, order.py and
group.py work; table.py lays out and render.py writes.
"""

from fbmon.compare.run import Run, read
from fbmon.compare.select import select

__all__ = ["Run", "read", "select"]
