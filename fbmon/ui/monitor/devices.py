"""The panel of devices: one row each, with its utilization of the last minutes and what it answers now."""

from dataclasses import dataclass

import numpy as np
from rich.text import Text
from textual.widget import Widget

from fbmon.events import DeviceSampled
from fbmon.store.series import Floats
from fbmon.store.store import Store
from fbmon.text import clean, gib

SPAN_SECONDS = 180.0
MOST_ROWS = 8
_BARS = "▁▂▃▄▅▆▇█"
_LEAST_BARS, _MOST_BARS = 10, 60  # at one sample a second and more than 60 cells, some would stay empty
_GAP = 2


@dataclass(frozen=True, eq=False)
class Device:
    """The newest sample of a device, and its utilization in percent over the seconds of the run."""

    sample: DeviceSampled
    elapsed: Floats
    utilization: Floats


def devices(store: Store) -> list[Device]:
    """Return what the panel shows of a run."""
    return [
        Device(sample, store.utilization[name].elapsed, store.utilization[name].values)
        for name, sample in store.devices.items()
    ]


def device_lines(shown: list[Device], trains_on: str, width: int) -> list[str]:
    """A title and a row per device in `width` cells; what does not fit is left out from the right."""
    lines = [_title(shown, trains_on)]
    rows = shown if len(shown) <= MOST_ROWS else shown[: MOST_ROWS - 1]
    lines += _table(rows, width) if rows else []
    if len(rows) < len(shown):
        lines.append(f"and {len(shown) - len(rows)} more: {_busiest_and_idlest(shown[len(rows) :])}")
    return [line[:width] for line in lines]


def sparkline(elapsed: Floats, utilization: Floats, end: float, width: int) -> str:
    """The mean utilization of each of `width` stretches of the time before `end`; a blank where nothing is known."""
    begin = end - SPAN_SECONDS
    first = int(np.searchsorted(elapsed, begin, side="right"))
    column = np.minimum((elapsed[first:] - begin) / SPAN_SECONDS * width, width - 1).astype(np.intp)
    is_known = ~np.isnan(utilization[first:])
    count = np.bincount(column[is_known], minlength=width)
    total = np.bincount(column[is_known], utilization[first:][is_known], minlength=width)
    height = np.clip(total / np.maximum(count, 1) / 100 * len(_BARS), 0, len(_BARS) - 1).astype(int)
    return "".join(_BARS[row] if samples else " " for row, samples in zip(height, count, strict=True))


def _title(shown: list[Device], trains_on: str) -> str:
    if not shown:
        return "devices: no sample yet"
    title = f"devices, utilization over the last {SPAN_SECONDS / 60:.0f} min"
    if any(not device.sample.is_host for device in shown):
        return title
    return f"{title} · " + ("the GPU driver does not respond" if trains_on.startswith("cuda") else "no GPU in this run")


def _table(rows: list[Device], width: int) -> list[str]:
    names = _aligned([clean(device.sample.device, 24) for device in rows], left=True)
    columns = [_aligned(column) for column in zip(*(_answers(device.sample) for device in rows), strict=True)]
    columns = [column for column in columns if column[0].strip() or any(cell.strip() for cell in column)]
    while len(columns) > 1 and _bars_left(width, names, columns) < _LEAST_BARS:
        columns.pop()
    bars = min(_bars_left(width, names, columns), _MOST_BARS)
    end = max(float(device.elapsed[-1]) for device in rows)
    parts = [names]
    if bars >= _LEAST_BARS:
        parts.append([sparkline(device.elapsed, device.utilization, end, bars) for device in rows])
    return [(" " * _GAP).join(cells) for cells in zip(*parts, *columns, strict=True)]


def _bars_left(width: int, names: list[str], columns: list[list[str]]) -> int:
    return width - len(names[0]) - _GAP - sum(len(column[0]) + _GAP for column in columns)


def _answers(sample: DeviceSampled) -> list[str]:
    """Utilization, memory, power, temperature, clock; empty where the device has no answer."""
    used = "–" if sample.memory_mib is None else f"{sample.memory_mib / 1024:.1f}"
    total = "–" if sample.memory_total_mib is None else gib(sample.memory_total_mib)
    return [
        "–" if sample.utilization is None else f"{sample.utilization:.0f} %",
        "" if used == total == "–" else f"{used}/{total} GiB",
        _number(sample.power_watts, "W"),
        _number(sample.temperature_celsius, "°C"),
        _number(sample.clock_mhz, "MHz"),
    ]


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f} {unit}"


def _aligned(cells: "list[str] | tuple[str, ...]", *, left: bool = False) -> list[str]:
    width = max(map(len, cells))
    return [cell.ljust(width) if left else cell.rjust(width) for cell in cells]


def _busiest_and_idlest(rest: list[Device]) -> str:
    utilizations = [device.sample.utilization for device in rest if device.sample.utilization is not None]
    return f"{min(utilizations):.0f} to {max(utilizations):.0f} %" if utilizations else "no answer"


class DevicesPanel(Widget):
    """Shows devices; asks nobody for anything."""

    DEFAULT_CSS = "DevicesPanel { height: 2; padding: 0 1; background: $surface; }"

    def __init__(self) -> None:
        super().__init__()
        self._devices: list[Device] = []
        self._trains_on = ""

    def show(self, shown: list[Device], trains_on: str) -> None:
        """Draw these from now on; `trains_on` is the device that the trainer has told."""
        if len(shown) != len(self._devices):
            self.styles.height = 1 + min(max(len(shown), 1), MOST_ROWS)
        self._devices = shown
        self._trains_on = trains_on
        self.refresh()

    def render(self) -> Text:
        title, *rows = device_lines(self._devices, self._trains_on, self.content_size.width)
        lines = Text("\n", no_wrap=True, overflow="crop").join([Text(title, "bold"), *map(Text, rows)])
        lines.highlight_regex(f"[{_BARS}]+", "#56b4e9")
        return lines
