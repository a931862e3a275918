"""The memory that processes share: GPUs of one machine exchange through it."""

import os
from pathlib import Path

from fbmon.doctor.finding import Finding, judge

_LEAST = 256 * 2**20  # bytes; a container has 64 MiB unless told otherwise, and NCCL fails there without a clear word


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
