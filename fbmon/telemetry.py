"""Samples the devices of a run and the host: utilization, memory, power, temperature, clock."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import psutil

from fbmon.crew.gpus import Nvml, driver, open_all, visible_gpus
from fbmon.events import DeviceSampled

_MIB = 1024 * 1024


Sample = Callable[[], DeviceSampled]


class Sampler:
    """Looks at the host and at every GPU of the run; a machine without NVIDIA's driver has only the host."""

    def __init__(self, devices: Sequence[str], environment: Mapping[str, str], nvml: Nvml | None = None) -> None:
        psutil.cpu_percent()  # the first call has nothing to compare with and answers 0
        asked = asked_gpus(devices)
        self._gpus = _open_gpus(nvml or driver(), asked, environment) if asked else []

    def sample(self) -> list[DeviceSampled]:
        """One event per device, GPUs first."""
        return [gpu() for gpu in self._gpus] + [_sample_host()]


def asked_gpus(devices: Sequence[str]) -> list[int]:
    """The N of each cuda:N that trains; "auto" is cuda:0 where there is one."""
    return [int(name.removeprefix("cuda:")) if name != "auto" else 0 for name in devices if name != "cpu"]


def _sample_host() -> DeviceSampled:
    memory = psutil.virtual_memory()
    return DeviceSampled(
        device="cpu",
        utilization=psutil.cpu_percent(),
        memory_mib=(memory.total - memory.available) / _MIB,
        memory_total_mib=memory.total / _MIB,
    )


def _open_gpus(nvml: Nvml, asked: Sequence[int], environment: Mapping[str, str]) -> list[Sample]:
    try:
        handles = open_all(nvml)
        visible = visible_gpus(environment, [nvml.nvmlDeviceGetUUID(handle) for handle in handles])
        return [_open(nvml, handles, visible[number], number) for number in asked if number < len(visible)]
    except nvml.NVMLError:  # no driver, no GPU
        return []


def _open(nvml: Nvml, handles: list[object], place: int | str, number: int) -> Sample:
    if isinstance(place, str):
        return _gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(place), f"cuda:{number} ({place[:12]})")
    return _gpu(nvml, handles[place], f"cuda:{number} (gpu {place})")


def _gpu(nvml: Nvml, handle: object, name: str) -> Sample:
    def ask(read: Callable[[], float]) -> float | None:
        with suppress(nvml.NVMLError):  # a virtual GPU answers only some questions, a lost one none
            return float(read())
        return None

    def sample() -> DeviceSampled:
        return DeviceSampled(
            device=name,
            utilization=ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            memory_mib=ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / _MIB),
            memory_total_mib=ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total / _MIB),
            power_watts=ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
            temperature_celsius=ask(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            clock_mhz=ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
        )

    return sample
