"""Cores and threads: more threads than cores wait for each other."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fbmon.crew.devices import cores
from fbmon.doctor.finding import Finding, judge
from fbmon.text import plural


def examine_processor(root: Path, environment: Mapping[str, str]) -> Finding:
    """How many threads torch will start, and on how many cores."""
    own, granted = cores(), _granted(root)
    usable = min(own, math.ceil(granted)) if granted else own
    threads = _asked(environment) or own
    limit = f", of which this container may use {granted:g}" if granted and granted < own else ""
    said = f"OMP_NUM_THREADS={_asked(environment)}" if _asked(environment) else "one thread a core"
    found = f"{plural(own, 'core')}{limit}; {said}"
    advice = f"`export OMP_NUM_THREADS={usable}`: more threads than cores wait for each other"
    return judge("processor", found, advice, is_well=threads <= usable)


def _asked(environment: Mapping[str, str]) -> int:
    found = re.match(r"\s*(\d{1,6})", environment.get("OMP_NUM_THREADS", ""), re.ASCII)  # it may be a list
    return int(found[1]) if found else 0


def _granted(root: Path) -> float | None:
    """The cores that the control group may keep busy, which may be a part of one; None: all."""
    with suppress(OSError, ValueError):
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    return None
