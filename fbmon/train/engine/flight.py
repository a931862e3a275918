"""A limit on how far the host runs ahead of a GPU, so that progress and stopping are per block."""

from collections import deque

import torch


class InFlight:
    """Blocks requested and not yet computed, `most` at most; on a CPU there is nothing to wait for."""

    def __init__(self, device: torch.device, most: int) -> None:
        self._is_cuda = device.type == "cuda"
        self._most = most
        self._events: deque[torch.cuda.Event] = deque()

    def wait(self) -> None:
        """Wait until another block may be requested."""
        while len(self._events) >= self._most:
            self._events.popleft().synchronize()

    def add(self) -> None:
        """Note that a block has been requested, in the present stream."""
        if self._is_cuda:
            event = torch.cuda.Event()
            event.record()
            self._events.append(event)
