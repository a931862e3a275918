"""The meaning of --devices: on which devices a run trains, one rank a device."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fbmon.errors import UsageError
from fbmon.host import loopback
from fbmon.host.limits import cores
from fbmon.host.scratch import with_what_torch_needs
from fbmon.ranks.gpus import count_gpus
from fbmon.text import clean, plural

# CUDA counts fastest first, the driver in PCI order: one order, so that telemetry looks at the GPU that trains. And
# matrix products are deterministic.
FOR_CUDA = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

_MOST = 1024  # ranks on one machine


def parse(asked: str) -> str:
    """`asked` in the form that a run keeps: auto, cpu, cpu:2, cuda:0 or cuda:0,cuda:1. Raises UsageError."""
    if asked in ("auto", "cpu"):
        return asked
    if asked == "cuda":
        return "cuda:0"
    if re.fullmatch(r"cpu:[1-9]\d{0,3}", asked, re.ASCII) and int(asked[4:]) <= _MOST:
        return asked
    parts = asked.split(",")
    if not all(re.fullmatch(r"(cuda:)?\d{1,3}", part, re.ASCII) for part in parts):
        raise UsageError(
            f"--devices {clean(asked)}: must be auto, cpu, cpu:N, cuda, cuda:N, N or several GPUs as 0,1,2"
        )
    numbers = [int(part.removeprefix("cuda:")) for part in parts]
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--devices {clean(asked)}: names a GPU twice")
    return ",".join(f"cuda:{number}" for number in numbers)


def here(asked: str, environment: Mapping[str, str]) -> str:
    """`asked` as of `parse`, on this machine. Raises UsageError for a GPU that it does not have."""
    devices = parse(asked)
    numbers = [int(number) for number in re.findall(r"cuda:(\d+)", devices)]
    if numbers and (there := count_gpus(environment)) is not None and max(numbers) >= there:
        raise UsageError(f"--devices {clean(asked)}: {_told(there, environment)}", _nearest(there))
    return devices


def _told(there: int, environment: Mapping[str, str]) -> str:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    by = f" that CUDA_VISIBLE_DEVICES={clean(visible)!r} leaves visible" if visible is not None else ""
    return f"this machine has {plural(there, 'GPU') if there else 'no GPUs'}{by}"


def _nearest(there: int) -> str:
    numbers = ",".join(map(str, range(min(there, 8))))
    return f"try --devices {numbers} or --devices auto" if there else "try --devices cpu"


def expand(devices: str, environment: Mapping[str, str]) -> list[str]:
    """The device of each rank; "auto" is every GPU that CUDA may see, or whatever torch finds."""
    if devices.startswith("cpu:"):
        return ["cpu"] * int(devices[4:])
    if devices == "auto" and (gpus := count_gpus(environment) or 0) > 1:
        return [f"cuda:{number}" for number in range(gpus)]
    return devices.split(",")


def deal(devices: list[str], jobs: int) -> list[str]:
    """The devices in as many equal shares as runs are to be trained at a time. Raises UsageError where it cannot be."""
    if jobs > len(devices) or len(devices) % jobs:
        there = plural(len(devices), "device")
        raise UsageError(f"--jobs {jobs}: {there} cannot be divided evenly among so many")
    each = len(devices) // jobs
    shares = [devices[first : first + each] for first in range(0, len(devices), each)]
    return [f"cpu:{each}" if each > 1 and share[0] == "cpu" else ",".join(share) for share in shares]


def check_loopback(devices: Sequence[str]) -> None:
    """Raises UsageError where several devices are to exchange over a loopback that is down."""
    if len(devices) > 1 and not loopback.is_up():
        raise UsageError(
            f"{len(devices)} devices communicate over the loopback, which is down",
            "`ip link set lo up` as root, or train on one device",
        )


def prepare(environment: Mapping[str, str], devices: list[str], scratch: Path | None = None) -> dict[str, str]:
    """The environment of the ranks: they speak over the loopback only, and share the cores of the machine.

    What the user has set of `FOR_CUDA` and the number of threads stays. `scratch` is where files of a moment may lie if
    the system has no folder for them.
    """
    prepared = FOR_CUDA | with_what_torch_needs(environment, scratch)
    if len(devices) == 1:
        return prepared
    prepared |= {"GLOO_SOCKET_IFNAME": loopback.NAME, "NCCL_SOCKET_IFNAME": loopback.NAME}
    if devices[0] == "cpu":
        prepared.setdefault("OMP_NUM_THREADS", str(max(1, cores() // len(devices))))
    return prepared
