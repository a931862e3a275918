"""Which GPUs this machine has, as its driver tells without torch."""

from collections.abc import Mapping
from pathlib import Path

_AMD = Path("/dev/kfd")  # the driver under ROCm, where torch calls AMD's GPUs cuda:N too


def count_gpus(environment: Mapping[str, str]) -> int | None:
    """How many GPUs CUDA may see; None where only torch could tell."""
    import pynvml

    try:
        pynvml.nvmlInit()
        places = range(pynvml.nvmlDeviceGetCount())
        uuids = [pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(place)) for place in places]
    except pynvml.NVMLError:  # no driver of NVIDIA's, or one that does not answer
        return None if _AMD.exists() else 0
    return len(visible_gpus(environment, uuids))


def visible_gpus(environment: Mapping[str, str], uuids: list[str]) -> list[int | str]:
    """What CUDA calls cuda:0, cuda:1, ...: the place in `uuids`, which are in PCI order, or the UUID of a slice.

    CUDA_VISIBLE_DEVICES lists places, UUIDs or beginnings of UUIDs; CUDA ignores all from the first invalid one on.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(range(len(uuids)))
    listed: list[int | str] = []
    for entry in (part.strip() for part in visible.split(",")):
        found = [place for place, uuid in enumerate(uuids) if entry.startswith("GPU-") and uuid.startswith(entry)]
        if len(found) == 1:
            listed.append(found[0])
        elif entry.startswith("MIG-"):
            listed.append(entry)
        elif entry.isascii() and entry.isdecimal() and int(entry) < len(uuids):
            listed.append(int(entry))
        else:
            break
    return listed
