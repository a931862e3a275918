"""The time of a step, and its parts."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Part = Literal["data", "gradient", "penalty", "mean", "update"]  # mean: adding up, and the exchange between ranks


class Stopwatch:
    """A stopwatch that adds up seconds by part; on a GPU by events in its own queue, so that nobody waits for it."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._seconds: dict[Part, float] = defaultdict(float)
        self._events: list[tuple[Part, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def timing(self, part: Part) -> Iterator[None]:
        """Count the time spent within as `part`."""
        if self._is_cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((part, start, end))
        else:
            began = time.perf_counter()
            yield
            self._seconds[part] += time.perf_counter() - began

    def lap(self) -> dict[Part, float]:
        """Return the seconds of each part since the last lap, after waiting for the last event."""
        for part, start, end in self._events:
            end.synchronize()
            self._seconds[part] += start.elapsed_time(end) / 1000
        self._events = []
        seconds, self._seconds = dict(self._seconds), defaultdict(float)
        return seconds
