"""The panel of devices: what it writes at which width."""

from pathlib import Path

import numpy as np
import pytest

from fbmon.events import DeviceSampled
from fbmon.store.series import Floats
from fbmon.ui.monitor.app import MonitorApp
from fbmon.ui.monitor.devices import Device, DevicesPanel, device_lines, sparkline
from tests.ui.monitor.test_monitor import Script, inside, monitor, shown, training

GPU = DeviceSampled("cuda:0 (gpu 3)", 98.4, 62_669.0, 143_771.0, 412.3, 63.0, 1980.0)
HOST = DeviceSampled("cpu", 7.0, 3_174.0, 8_192.0)


def lately(*percents: float) -> tuple[Floats, Floats]:
    """One value every 19 seconds, the newest at three minutes: of ten stretches of the panel's span the last ones."""
    seconds = 180 - 19.0 * np.arange(len(percents), dtype=np.float64)[::-1]
    return seconds, np.array(percents, np.float64)


def test_a_gpu_and_the_host_stand_in_columns() -> None:
    rows = [Device(GPU, *lately(0, 50, 100)), Device(HOST, *lately(10, 30, 7))]

    assert device_lines(rows, "cuda:0", 70) == [
        "devices, utilization over the last 3 min",
        "cuda:0 (gpu 3)         ▁▅█  98 %  61.2/140 GiB  412 W  63 °C  1980 MHz",
        "cpu                    ▁▃▁   7 %     3.1/8 GiB                        ",
    ]


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (69, "cuda:0 (gpu 3)                  ▁ ▅█  98 %  61.2/140 GiB  412 W  63 °C"),
        (60, "cuda:0 (gpu 3)         ▁▅█  98 %  61.2/140 GiB  412 W  63 °C"),
        (53, "cuda:0 (gpu 3)         ▁▅█  98 %  61.2/140 GiB  412 W"),
        (30, "cuda:0 (gpu 3)  98 %"),
        (10, "cuda:0 (gp"),
        (0, ""),
    ],
)
def test_what_does_not_fit_is_left_out_from_the_right(width: int, row: str) -> None:
    line = device_lines([Device(GPU, *lately(0, 50, 100))], "cuda:0", width)[1]
    assert len(line) <= width
    assert line.replace(" ", "") == row.replace(" ", "")


@pytest.mark.parametrize(
    ("trains_on", "said"),
    [("2 CPU threads", "no GPU in this run"), ("cuda:0 (NVIDIA H200)", "the GPU driver does not respond")],
)
def test_without_a_gpu_it_says_so(trains_on: str, said: str) -> None:
    (title, _row) = device_lines([Device(HOST, *lately(7))], trains_on, 100)
    assert title == f"devices, utilization over the last 3 min · {said}"


def test_before_the_first_sample_it_says_so() -> None:
    assert device_lines([], "", 80) == ["devices: no sample yet"]


def test_a_device_that_does_not_answer_is_blank_and_not_zero() -> None:
    silent = Device(DeviceSampled("cuda:1 (gpu 0)"), *lately(np.nan, np.nan))
    assert device_lines([silent], "cuda:0", 60)[1].split() == ["cuda:1", "(gpu", "0)", "–"]


def test_the_rest_of_many_devices_is_one_line() -> None:
    many = [Device(DeviceSampled(f"cuda:{n}", 80.0 + n), *lately(80)) for n in range(16)]

    lines = device_lines(many, "cuda:0", 80)

    assert len(lines) == 9
    assert lines[-1] == "and 9 more: 87 to 95 %"


def test_the_sparkline_shows_means_and_leaves_blank_what_is_not_known() -> None:
    seconds = np.array([0.0, 1.0, 21.0, 22.0, 41.0, 180.0])
    percents = np.array([100.0, 100.0, 0.0, 50.0, np.nan, 100.0])
    assert sparkline(seconds, percents, end=180, width=9) == "█▃      █"
    assert sparkline(np.empty(0), np.empty(0), end=0, width=3) == "   "


async def test_the_panel_stands_on_a_tall_screen(tmp_path: Path) -> None:
    events = [*training(), *[DeviceSampled("cuda:0 (gpu 3)", 98.0, 1024.0, 2048.0, elapsed=s) for s in range(30)]]
    async with MonitorApp(Script(tmp_path / "tiny-1", events)).run_test(size=(160, 48)) as pilot:
        whole = await shown(pilot)
        text = inside(monitor(pilot).query_one(DevicesPanel).region, whole)

        rows = [row.split() for row in text.split("\n")]
        assert rows[0][:2] == ["devices,", "utilization"]
        assert rows[1][0] == "cpu"
        assert rows[1][-4:] == ["80", "%", "2.0/8", "GiB"]
        assert rows[2][:3] == ["cuda:0", "(gpu", "3)"]
        assert rows[2][-4:] == ["98", "%", "1.0/2", "GiB"]
