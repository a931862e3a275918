"""The chart of the devices: how busy each one is and how full its memory, on the axis of all other charts."""

from collections.abc import Iterator

from fbmon.chart import Curve
from fbmon.metrics import Chart
from fbmon.store.store import Store
from fbmon.text import clean
from fbmon.ui.charts.across import Across

DEVICES = Chart("devices", "devices, %", format=".0f")
_BUSY, _MEMORY = " ○+×", "△□◇▽"


def device_curves(store: Store, across: Across) -> Iterator[Curve]:
    """Memory behind, busy before it."""
    for number, device in enumerate(store.utilization):
        memory, busy, name = store.memory[device], store.utilization[device], clean(device, 40)
        marker = number % len(_BUSY)
        yield Curve(f"{name} memory", f"memory_{number % 2}", across.x(memory), memory, _MEMORY[marker], dim=True)
        yield Curve(f"{name} busy", f"busy_{number % 2}", across.x(busy), busy, _BUSY[marker].strip())
