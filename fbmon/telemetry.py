"""Samples the devices of a run and the host: utilization, memory, power, temperature, clock."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import psutil

from fbmon.events import DeviceSampled

_MIB = 1024 * 1024


class Sampler:
    """Looks at the host and at one CUDA device; a machine without NVIDIA's driver has only the host."""

    def __init__(self, devices: str, environment: Mapping[str, str]) -> None:
        psutil.cpu_percent()  # the first call has nothing to compare with and answers 0
        self._gpu = None if devices == "cpu" else _open_gpu(devices, environment)

    def sample(self) -> list[DeviceSampled]:
        """One event per device, GPU first."""
        return ([self._gpu()] if self._gpu else []) + [_sample_host()]


def visible_gpus(environment: Mapping[str, str], count: int) -> list[str]:
    """What CUDA calls cuda:0, cuda:1, ...: NVML indices in PCI order, or UUIDs, as CUDA_VISIBLE_DEVICES lists them."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(index) for index in range(count)]
    listed = []
    for entry in (part.strip() for part in visible.split(",")):
        if not entry.startswith("GPU-") and not (entry.isdecimal() and int(entry) < count):
            break  # CUDA ignores everything from the first invalid entry on
        listed.append(entry)
    return listed


def _sample_host() -> DeviceSampled:
    memory = psutil.virtual_memory()
    return DeviceSampled(
        device="cpu",
        utilization=psutil.cpu_percent(),
        memory_mib=(memory.total - memory.available) / _MIB,
        memory_total_mib=memory.total / _MIB,
    )


def _open_gpu(devices: str, environment: Mapping[str, str]) -> Callable[[], DeviceSampled] | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        gpus = visible_gpus(environment, pynvml.nvmlDeviceGetCount())
        number = int(devices.rpartition(":")[2]) if devices.startswith("cuda:") else 0
        entry = gpus[number]
        handle = (
            pynvml.nvmlDeviceGetHandleByUUID(entry)
            if entry.startswith("GPU-")
            else pynvml.nvmlDeviceGetHandleByIndex(int(entry))
        )
        name = f"cuda:{number} (gpu {pynvml.nvmlDeviceGetIndex(handle)})"
    except (pynvml.NVMLError, IndexError):
        return None

    def number_or_none(read: Callable[[], float]) -> float | None:
        with suppress(pynvml.NVMLError):  # a virtual GPU answers only some questions
            return float(read())
        return None

    def sample() -> DeviceSampled:
        with suppress(pynvml.NVMLError):
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            return DeviceSampled(
                device=name,
                utilization=number_or_none(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
                memory_mib=memory.used / _MIB,
                memory_total_mib=memory.total / _MIB,
                power_watts=number_or_none(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000),
                temperature_celsius=number_or_none(
                    lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
                ),
                clock_mhz=number_or_none(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            )
        return DeviceSampled(device=name)

    return sample
