"""Memory: how much of it there is, and the part that processes share, by which GPUs of one machine exchange."""

import os
from pathlib import Path

from fbmon.crew.limits import memory
from fbmon.doctor.finding import Finding, judge

_LEAST_FREE = 2**30  # bytes; a process that has loaded torch takes half of it
_LEAST = 256 * 2**20  # bytes; a container has 64 MiB unless told otherwise, and NCCL fails there without a clear word


def examine_memory(root: Path) -> Finding:
    """Say how much may be used, and how much of that is free."""
    there = memory(root)
    limit = " that may be used here" if there.is_limited else ""
    found = f"{there.total / 2**30:,.1f} GiB{limit}, {there.free / 2**30:,.1f} of them free"
    advice = "a training that needs more is killed: `fbmon plan` says how much a recipe takes"
    return judge("memory", found, advice, is_well=there.free >= _LEAST_FREE)


def examine_shared_memory(root: Path) -> Finding:
    """How large /dev/shm is."""
    place = root / "dev/shm"
    advice = "several GPUs need 1 GiB: in Docker `--shm-size=1g`, else a tmpfs at /dev/shm; one device needs none"
    try:
        size = os.statvfs(place)
    except OSError as error:
        return Finding("shared memory", "warning", f"/dev/shm: {error.strerror}", advice)
    total = size.f_blocks * size.f_frsize
    is_well = total >= _LEAST and os.access(place, os.W_OK)
    found = f"{total / 2**20:,.0f} MiB at /dev/shm" + ("" if os.access(place, os.W_OK) else ", not writable")
    return judge("shared memory", found, advice, is_well=is_well)
