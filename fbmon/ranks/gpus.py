"""The GPUs of this machine, as its driver tells without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

_AMD = Path("/dev/kfd")  # the driver under ROCm, where torch calls AMD's GPUs cuda:N too


class Nvml(Protocol):
    """The questions asked of NVIDIA's driver, as the module pynvml has them; any question may raise NVMLError."""

    NVMLError: type[Exception]
    NVML_TEMPERATURE_GPU: int
    NVML_CLOCK_SM: int

    def nvmlInit(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any: ...
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...  # .gpu and .memory, percent
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # .used and .total, bytes
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...  # milliwatts
    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int: ...
    def nvmlDeviceGetClockInfo(self, handle: Any, clock: int) -> int: ...  # MHz


def driver() -> Nvml:
    """The driver of this machine."""
    import pynvml

    nvml: Nvml = pynvml
    return nvml


def open_all(nvml: Nvml) -> list[Any]:
    """A handle of each GPU that the driver knows, in PCI order; UUIDs are asked for by them."""
    nvml.nvmlInit()
    return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]


def count_gpus(environment: Mapping[str, str]) -> int | None:
    """Return how many GPUs CUDA may see; None where only torch could tell."""
    nvml = driver()
    try:
        uuids = [nvml.nvmlDeviceGetUUID(handle) for handle in open_all(nvml)]
    except nvml.NVMLError:  # no driver of NVIDIA's, or one that does not answer
        return None if _AMD.exists() else 0
    return len(visible_gpus(environment, uuids))


def visible_gpus(environment: Mapping[str, str], uuids: list[str]) -> list[int | str]:
    """Return what CUDA calls cuda:0, cuda:1, ...: the place in `uuids`, which are in PCI order, or the UUID of a slice.

    CUDA_VISIBLE_DEVICES lists places, UUIDs or beginnings of UUIDs; CUDA ignores all from the first invalid one on.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(range(len(uuids)))
    listed: list[int | str] = []
    for entry in (part.strip() for part in visible.split(",")):
        matches = [index for index, uuid in enumerate(uuids) if entry.startswith("GPU-") and uuid.startswith(entry)]
        if len(matches) == 1:
            listed.append(matches[0])
        elif entry.startswith("MIG-"):
            listed.append(entry)
        elif entry.isascii() and entry.isdecimal() and int(entry) < len(uuids):
            listed.append(int(entry))
        else:
            break
    return listed
