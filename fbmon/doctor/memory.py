"""Memory: how much of it there is, and the part that processes share, by which GPUs of one machine exchange."""

import os
from pathlib import Path

from fbmon.doctor.finding import Finding, judge
from fbmon.host.limits import memory

_LEAST_FREE = 2**30  # bytes; a process that has loaded torch takes half of it
_LEAST = 256 * 2**20  # bytes; a container has 64 MiB unless told otherwise, and NCCL fails there without a clear word


def examine_memory(root: Path) -> Finding:
    """Judge how much memory may be used, and how much of it is free."""
    whole = memory(root)
    limit = " available here" if whole.is_limited else ""
    amount = f"{whole.total / 2**30:,.1f} GiB{limit}, {whole.free / 2**30:,.1f} GiB free"
    advice = "a training that needs more will be killed: `fbmon plan` says how much a recipe needs"
    return judge("memory", amount, advice, is_well=whole.free >= _LEAST_FREE)


def examine_shared_memory(root: Path) -> Finding:
    """Judge how large /dev/shm is, and whether it can be written to."""
    shared = root / "dev/shm"
    advice = "several GPUs need 1 GiB: in Docker `--shm-size=1g`, else a tmpfs at /dev/shm; a single device needs none"
    try:
        size = os.statvfs(shared)
    except OSError as error:
        return Finding("shared memory", "warning", f"/dev/shm: {error.strerror}", advice)
    total = size.f_blocks * size.f_frsize
    is_well = total >= _LEAST and os.access(shared, os.W_OK)
    amount = f"{total / 2**20:,.0f} MiB at /dev/shm" + ("" if os.access(shared, os.W_OK) else ", not writable")
    return judge("shared memory", amount, advice, is_well=is_well)
