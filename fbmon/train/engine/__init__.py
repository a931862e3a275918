"""The ways to compute the blocks of a pass: one after the other, or in lanes of captured graphs, with the same results.

`eager` is the reference. An engine is chosen by the device; FBMON_ENGINE=eager, lanes or lanes:N overrides that, and
with ",compiled" appended torch's compiler fuses the network's operations, which changes the last bits.
"""

import os
import re

from fbmon.errors import UsageError
from fbmon.text import clean
from fbmon.train.engine.eager import Eager
from fbmon.train.engine.lanes import Lanes
from fbmon.train.engine.network import Network
from fbmon.train.engine.work import CaptureError, Engine
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.mean.statistics import RunningStatistics

__all__ = ["CaptureError", "Eager", "make_engine"]

_LANES = 4  # a guess until it is measured on a GPU: enough that blocks of 32 fill the chip


def make_engine(
    network: Network, statistics: RunningStatistics, watch: Stopwatch, *, is_streamed: bool = False
) -> Engine:
    """Make the engine asked for, or the one that suits the device of the network. Raises UsageError."""
    asked = os.environ.get("FBMON_ENGINE") or ("lanes" if network.device.type == "cuda" else "eager")
    match = re.fullmatch(r"(?:eager|(lanes)(?::([1-9]\d?))?)(,compiled)?", asked, re.ASCII)
    if match is None:
        raise UsageError(
            f"FBMON_ENGINE = {clean(asked)}: must be eager, lanes or lanes:N, N from 1 to 99, each also with ,compiled"
        )
    lanes, count, compiled = match.groups()
    network, note = (network.compiled(), "compiled") if compiled else (network, "")
    if lanes and (network.is_random or is_streamed):
        reason = "the network is random" if network.is_random else "the data are streamed"
        return Eager(network, statistics, watch, f"block by block: {reason}")
    if lanes:
        return Lanes(network, statistics, watch, int(count or _LANES), note)
    return Eager(network, statistics, watch, note)
