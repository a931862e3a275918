"""Event files that TensorBoard opens, written with tensorboardX (the extra `tensorboard`).

Its record writer is called directly: the usual SummaryWriter writes from a thread, and waits for ever once that thread
has met a full disk.
"""

from pathlib import Path
from typing import Any

from fbmon import metrics
from fbmon.errors import UsageError
from fbmon.events import DeviceSampled
from fbmon.export.rows import StepRow, read_rows
from fbmon.run import RunFolder
from fbmon.run.journal import Tail


def write(folder: RunFolder, goal: Path) -> None:
    """Write all metrics of a run by step, the devices by second, and the recipe as text."""
    try:
        from tensorboardX.event_file_writer import EventsWriter
    except ImportError:
        raise UsageError(
            "--to tensorboard needs the package tensorboardX", "pip install 'fbmon[tensorboard]', or use --to csv"
        ) from None
    goal.mkdir(parents=True, exist_ok=True)
    # An absolute path: tensorboardX would take one like "s3:..." for an address.
    writer = EventsWriter(str(goal.resolve() / "events"))
    rows = read_rows(folder.journal)
    for row in rows:
        writer.write_event(_event(row.time, row.step, _scalars(row)))
    for sampled in Tail(folder.telemetry).read():
        if isinstance(sampled, DeviceSampled):
            writer.write_event(_event(sampled.time, round(sampled.elapsed), _device_scalars(sampled)))
    if rows:
        writer.write_event(_text(rows[0].time, "recipe", folder))
    writer.close()


def tag(name: str) -> str:
    """Return a metric's tag, which puts the metrics of one chart together."""
    return f"{metrics.BY_NAME[name].chart.name}/{name}" if name in metrics.BY_NAME else name


def _scalars(row: StepRow) -> dict[str, float]:
    scalars = {tag(name): value for name, value in row.values.items() if value is not None}
    return scalars | {"gradient/clipped": float(row.clipped)}


def _device_scalars(sampled: DeviceSampled) -> dict[str, float]:
    names = ("utilization", "memory_mib", "power_watts", "temperature_celsius", "clock_mhz")
    values = {f"device {sampled.device}/{name}": getattr(sampled, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _event(time: float, step: int, scalars: dict[str, float]) -> Any:  # noqa: ANN401 - a generated class
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
    return Event(wall_time=time, step=step, summary=Summary(value=values))


def _text(time: float, name: str, folder: RunFolder) -> Any:  # noqa: ANN401 - a generated class
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import text

    try:
        recipe = folder.resolved.read_text("utf-8", "replace")
    except OSError:
        recipe = ""
    indented = "".join(f"    {line}\n" for line in recipe.splitlines())  # Markdown's way to leave a text alone
    return Event(wall_time=time, step=0, summary=text(name, indented))
