"""fbmon from Python: `fbmon.read` for the numbers of a run, `fbmon.start` for a run of its own."""

from fbmon.api.run import Curve, Run, read
from fbmon.api.training import Training, start

__all__ = ["Curve", "Run", "Training", "read", "start"]
