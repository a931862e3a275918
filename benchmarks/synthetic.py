"""A run that never took place: a journal and telemetry of any length, for measuring."""

import math
from pathlib import Path

import msgspec
import numpy as np

from fbmon.events import (
    DeviceSampled,
    Event,
    GradientClipped,
    PhaseEntered,
    RunEnded,
    RunStarted,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.metrics import STEP
from fbmon.run import Meta, RunFolder
from fbmon.run.journal import seal

CLIP = 1.0


def write_run(path: Path, steps: int, metrics: int, *, seconds_per_step: float = 1.0) -> RunFolder:
    """A finished run with `metrics` numbers a step, validated every hundredth, its CPU sampled once a second."""
    folder = RunFolder(path)
    folder.inbox.mkdir(parents=True)
    folder.log.touch()
    meta = Meta(path.name, "2026-01-01T00:00:00", "host", "user", [], "/", "/r.toml", "cpu", None, {}, "")
    folder.meta.write_bytes(msgspec.json.encode(meta))
    folder.journal.write_bytes(_sealed(story(steps, metrics, seconds_per_step)))
    folder.telemetry.write_bytes(_sealed(samples(round(steps * seconds_per_step))))
    return folder


def story(steps: int, metrics: int, seconds_per_step: float = 1.0) -> list[Event]:
    """Everything such a run tells, but its samples: losses fall, the norm too, until it is no longer clipped."""
    names = [metric.name for metric in STEP][:metrics] + [f"measure_{number}" for number in range(metrics - len(STEP))]
    falling = 2.3 * np.exp(-5 * np.arange(steps) / steps)[:, None]
    values = (falling + 0.1 + 0.1 * np.random.default_rng(0).random((steps, metrics))).tolist()
    events: list[Event] = [
        RunStarted("synthetic", "synthetic", steps, "0", 1),
        PhaseEntered("training", elapsed=1.0),
        TrainingStarted(steps, 40, 50_000, 10_000, 11_173_962, "no device", "float32", CLIP, elapsed=1.0),
    ]
    for step, row in enumerate(values, start=1):
        elapsed = 1.0 + step * seconds_per_step
        if row[3] > CLIP:
            events.append(GradientClipped(step, row[3], CLIP, elapsed=elapsed))
        events.append(StepTaken(step, dict(zip(names, row, strict=True)), elapsed=elapsed))
        if step % 100 == 0:
            events.append(Validated(step, {"val_loss": row[0], "val_accuracy": 1 - row[1] / 3}, elapsed=elapsed))
    return [*events, RunEnded("finished", 0, steps, elapsed=1.0 + steps * seconds_per_step)]


def samples(seconds: int, device: str = "cpu") -> list[Event]:
    return [
        DeviceSampled(device, 50 + 10 * math.sin(second / 50), 2000.0, 8000.0, elapsed=float(second))
        for second in range(seconds)
    ]


def _sealed(events: list[Event]) -> bytes:
    stamped = (msgspec.structs.replace(event, seq=number) for number, event in enumerate(events, start=1))
    return b"".join(map(seal, stamped))
