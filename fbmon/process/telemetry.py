"""Samples the devices of a run and the host: utilization, memory, power, temperature, clock.

Of the host it is what this process may use of it: where a container or a batch job has two cores of 64, both of them
busy are 100 %, whatever others do on the machine.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from fbmon.events import DeviceSampled
from fbmon.host.limits import ROOT, core_quota, cpu_seconds, memory, own_cores
from fbmon.ranks.gpus import Nvml, driver, open_all, visible_gpus

_MIB = 1024 * 1024


Sample = Callable[[], DeviceSampled]


class Sampler:
    """Looks at the host and at every GPU of the run; a machine without NVIDIA's driver has only the host."""

    def __init__(self, devices: Sequence[str], environment: Mapping[str, str], nvml: Nvml | None = None) -> None:
        self._host = Host()
        asked = asked_gpus(devices)
        self._gpus = _open_gpus(nvml or driver(), asked, environment) if asked else []

    def sample(self) -> list[DeviceSampled]:
        """One event per device, GPUs first."""
        return [gpu() for gpu in self._gpus] + [self._host.sample()]


def asked_gpus(devices: Sequence[str]) -> list[int]:
    """The N of each cuda:N that trains; "auto" is cuda:0 where there is one."""
    return [int(name.removeprefix("cuda:")) if name != "auto" else 0 for name in devices if name != "cpu"]


class Host:
    """The cores and the memory that this process may use, named by how many of the machine's cores they are."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        quota, own, there = core_quota(root), own_cores(), os.cpu_count() or 1
        self._quota = quota if quota and quota.amount < own else None
        self._cores = self._quota.amount if self._quota else float(own)
        self._name = "cpu" if self._cores >= there else f"cpu ({self._cores:.3g} of {there} cores)"
        self._before: tuple[float, float] | None = None  # when the group was looked at last, and its seconds then
        self._utilization()  # the first look has nothing to compare with

    def sample(self) -> DeviceSampled:
        """Look at both."""
        used = memory(self._root)
        return DeviceSampled(
            device=self._name,
            utilization=self._utilization(),
            memory_mib=used.used / _MIB,
            memory_total_mib=used.total / _MIB,
        )

    def _utilization(self) -> float | None:
        if self._quota:
            return self._of_quota(self._quota.group)
        if self._name == "cpu":
            return psutil.cpu_percent()
        by_core = psutil.cpu_percent(percpu=True)
        own = [by_core[core] for core in os.sched_getaffinity(0) if core < len(by_core)]
        return sum(own) / len(own) if own else None

    def _of_quota(self, group: Path) -> float | None:
        """The group's own share of its quota; unknown where nobody counts its time."""
        now, seconds = time.monotonic(), cpu_seconds(group)
        before, self._before = self._before, None if seconds is None else (now, seconds)
        if seconds is None or before is None or now <= before[0]:
            return None
        share = (seconds - before[1]) / (now - before[0]) / self._cores
        return 100 * min(max(share, 0.0), 1.0)  # what a process that has ended has had may be missing


def _open_gpus(nvml: Nvml, asked: Sequence[int], environment: Mapping[str, str]) -> list[Sample]:
    try:
        handles = open_all(nvml)
        visible = visible_gpus(environment, [nvml.nvmlDeviceGetUUID(handle) for handle in handles])
        return [_open(nvml, handles, visible[number], number) for number in asked if number < len(visible)]
    except nvml.NVMLError:  # no driver, no GPU
        return []


def _open(nvml: Nvml, handles: list[object], gpu: int | str, number: int) -> Sample:
    if isinstance(gpu, str):
        return _gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(gpu), f"cuda:{number} ({gpu[:12]})")
    return _gpu(nvml, handles[gpu], f"cuda:{number} (gpu {gpu})")


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
