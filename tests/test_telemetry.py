"""Which GPU is cuda:0, and one look at the host."""

import psutil
import pytest

from fbmon.telemetry import Sampler, visible_gpus

UUID = "GPU-5b3b1b9a-8a38-6d3a-1d3c-0a1b2c3d4e5f"


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [
        (None, ["0", "1", "2", "3"]),
        ("", []),
        ("2", ["2"]),
        ("3,1", ["3", "1"]),
        (" 3 , 1 ", ["3", "1"]),
        (f"1,{UUID}", ["1", UUID]),
        ("1,-1,2", ["1"]),
        ("1,4,2", ["1"]),
        ("NoDevFiles", []),
        ("²", []),
    ],
)
def test_cuda_visible_devices_names_the_gpus_up_to_its_first_invalid_entry(
    visible: str | None, gpus: list[str]
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_gpus(environment, count=4) == gpus


def test_a_run_on_the_cpu_samples_the_host_alone() -> None:
    (host,) = Sampler("cpu", {}).sample()
    assert host.device == "cpu"
    assert host.utilization is not None
    assert 0 <= host.utilization <= 100
    assert host.memory_mib is not None
    assert host.memory_total_mib == psutil.virtual_memory().total / 2**20
    assert 0 < host.memory_mib < host.memory_total_mib
    assert (host.power_watts, host.temperature_celsius, host.clock_mhz) == (None, None, None)


def test_a_run_whose_gpu_is_not_there_samples_the_host_alone() -> None:
    samples = Sampler("cuda:0", {"CUDA_VISIBLE_DEVICES": ""}).sample()
    assert [sample.device for sample in samples] == ["cpu"]
