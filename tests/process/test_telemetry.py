"""Which GPUs a run trains on, what they answer, and one look at the host."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from fbmon.events import DeviceSampled
from fbmon.host.limits import memory
from fbmon.process.telemetry import Sampler, asked_gpus
from fbmon.ranks.gpus import visible_gpus

UUIDS = [f"GPU-{letter}b3b1b9a-8a38-6d3a-1d3c-0a1b2c3d4e5f" for letter in "0123"]
MIG = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"
GIB = 2**30


class DriverError(Exception):
    """What the driver answers instead of a number."""


@dataclass
class Nvml:
    """Four GPUs that answer as pynvml does; GPU n uses n GiB. `broken` names the questions that fail."""

    uuids: list[str] = field(default_factory=lambda: UUIDS)
    broken: set[str] = field(default_factory=set)
    NVMLError: type[Exception] = DriverError
    NVML_TEMPERATURE_GPU: int = 0
    NVML_CLOCK_SM: int = 1

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in self.broken:
            raise DriverError(name)
        return super().__getattribute__(name)

    def nvmlInit(self) -> None: ...

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, place: int) -> int:
        return place

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return {MIG: 7}[uuid]

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return self.uuids[handle]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=90 + handle, memory=3)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=handle * GIB, total=80 * GIB)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 300_500 + handle

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 60 + handle

    def nvmlDeviceGetClockInfo(self, handle: int, clock: int) -> int:
        assert clock == self.NVML_CLOCK_SM
        return 1980


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [
        (None, [0, 1, 2, 3]),
        ("", []),
        ("2", [2]),
        ("3,1", [3, 1]),
        (" 3 , 1 ", [3, 1]),
        (f"1,{UUIDS[3]}", [1, 3]),
        ("GPU-2,GPU-0", [2, 0]),
        ("3,GPU-,1", [3]),
        (f"{MIG},2", [MIG, 2]),
        ("1,-1,2", [1]),
        ("1,4,2", [1]),
        ("NoDevFiles", []),
        ("²", []),
    ],
)
def test_cuda_visible_devices_names_the_gpus_up_to_its_first_invalid_entry(
    visible: str | None, gpus: list[int | str]
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_gpus(environment, UUIDS) == gpus


@pytest.mark.parametrize(
    ("devices", "gpus"), [(["cpu"] * 2, []), (["auto"], [0]), (["cuda:2"], [2]), (["cuda:0", "cuda:3"], [0, 3])]
)
def test_the_devices_asked_for_are_counted_as_cuda_counts(devices: list[str], gpus: list[int]) -> None:
    assert asked_gpus(devices) == gpus


def test_every_gpu_of_the_run_is_sampled_under_both_of_its_numbers_and_then_the_host() -> None:
    sampler = Sampler(["cuda:0", "cuda:2"], {"CUDA_VISIBLE_DEVICES": f"3,0,{UUIDS[1]}"}, Nvml())

    first, second, host = sampler.sample()

    assert first == DeviceSampled(
        device="cuda:0 (gpu 3)",
        utilization=93.0,
        memory_mib=3 * 1024.0,
        memory_total_mib=80 * 1024.0,
        power_watts=300.503,
        temperature_celsius=63.0,
        clock_mhz=1980.0,
    )
    assert (second.device, second.memory_mib) == ("cuda:2 (gpu 1)", 1024.0)
    assert host.is_host


def test_a_slice_of_a_gpu_is_found_by_its_uuid() -> None:
    gpu, _host = Sampler(["auto"], {"CUDA_VISIBLE_DEVICES": MIG}, Nvml()).sample()
    assert (gpu.device, gpu.memory_mib) == ("cuda:0 (MIG-c6d4f1ef)", 7 * 1024.0)


def test_what_a_gpu_does_not_answer_is_unknown_and_the_rest_is_told() -> None:
    nvml = Nvml()
    sampler = Sampler(["cuda:1"], {}, nvml)
    nvml.broken = {"nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPowerUsage"}

    gpu, _host = sampler.sample()

    assert (gpu.device, gpu.utilization, gpu.power_watts) == ("cuda:1 (gpu 1)", None, None)
    assert (gpu.memory_mib, gpu.temperature_celsius) == (1024.0, 61.0)


@pytest.mark.parametrize(
    ("devices", "environment", "broken"),
    [
        ("cpu", {}, set()),
        ("cuda:0", {"CUDA_VISIBLE_DEVICES": ""}, set()),
        ("cuda:4", {}, set()),
        ("auto", {}, {"nvmlInit"}),
    ],
)
def test_a_run_without_a_gpu_samples_the_host_alone(
    devices: str, environment: dict[str, str], broken: set[str]
) -> None:
    samples = Sampler([devices], environment, Nvml(broken=broken)).sample()
    assert [sample.is_host for sample in samples] == [True]


def test_the_host_tells_its_utilization_and_memory() -> None:
    (host,) = Sampler(["cpu"], {}).sample()
    assert host.utilization is None or 0 <= host.utilization <= 100
    assert host.memory_mib is not None
    assert host.memory_total_mib == memory().total / 2**20
    assert 0 < host.memory_mib < host.memory_total_mib
    assert (host.power_watts, host.temperature_celsius, host.clock_mhz) == (None, None, None)


def test_the_real_driver_or_its_absence_disturbs_nobody() -> None:
    assert Sampler(["auto"], {}).sample()[-1].is_host
