"""Keeps the host from running far ahead of a GPU, so that progress and stopping are per block."""

from collections import deque

import torch


class InFlight:
    """Blocks that are asked for and not yet computed, `most` at most; on a CPU there is nothing to wait for."""

    def __init__(self, device: torch.device, most: int) -> None:
        self._is_cuda = device.type == "cuda"
        self._most = most
        self._events: deque[torch.cuda.Event] = deque()

    def wait(self) -> None:
        """Wait until another block may be asked for."""
        while len(self._events) >= self._most:
            self._events.popleft().synchronize()

    def add(self) -> None:
        """A block has been asked for, in the present stream."""
        if self._is_cuda:
            event = torch.cuda.Event()
            event.record()
            self._events.append(event)
