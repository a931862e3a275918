"""How the blocks of a pass are computed: one after the other, or in lanes of captured graphs; the results are the same.

`eager` is the reference. An engine is chosen by the device; FBMON_ENGINE=eager, lanes or lanes:N chooses otherwise.
"""

import os
import re

from fbmon.errors import UsageError
from fbmon.text import clean
from fbmon.train.engine.eager import Eager
from fbmon.train.engine.lanes import Lanes
from fbmon.train.engine.network import Network
from fbmon.train.engine.work import CaptureError, Engine
from fbmon.train.statistics import RunningStatistics
from fbmon.train.stopwatch import Stopwatch

__all__ = ["CaptureError", "Eager", "make_engine"]

_LANES = 4  # a guess until it is measured on a GPU: enough that blocks of 32 fill the chip


def make_engine(network: Network, statistics: RunningStatistics, watch: Stopwatch) -> Engine:
    """The engine asked for, or the one that suits the device of the network. Raises UsageError."""
    asked = os.environ.get("FBMON_ENGINE") or ("lanes" if network.device.type == "cuda" else "eager")
    found = re.fullmatch(r"lanes(?::([1-9]\d?))?", asked, re.ASCII)
    if found:
        return Lanes(network, statistics, watch, int(found[1] or _LANES))
    if asked != "eager":
        raise UsageError(f"FBMON_ENGINE = {clean(asked)}: must be eager, lanes or lanes:N, N from 1 to 99")
    return Eager(network, statistics, watch)
