"""Cores and threads: more threads than cores wait for each other."""

import re
from collections.abc import Mapping
from pathlib import Path

from fbmon.doctor.finding import Finding, judge
from fbmon.host.limits import core_quota, cores, own_cores
from fbmon.text import plural


def examine_processor(root: Path, environment: Mapping[str, str]) -> Finding:
    """Judge how many threads torch will start, and on how many cores."""
    own, usable, quota, asked = own_cores(), cores(root), core_quota(root), _asked(environment)
    limit = f", of which {quota.amount:.3g} can be used here" if quota and quota.amount < own else ""
    said = f"OMP_NUM_THREADS={asked}" if asked else "one thread per core"
    advice = f"`export OMP_NUM_THREADS={usable}`: more threads than cores wait for each other"
    return judge("processor", f"{plural(own, 'core')}{limit}; {said}", advice, is_well=asked <= usable)


def _asked(environment: Mapping[str, str]) -> int:
    match = re.match(r"\s*(\d{1,6})", environment.get("OMP_NUM_THREADS", ""), re.ASCII)  # it may be a list
    return int(match[1]) if match else 0
