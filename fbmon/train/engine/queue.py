"""A queue of a device beside others, and the capture of work for it as a graph that the host launches as a whole."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import torch

_WARM_UPS = 2  # the first run chooses algorithms and makes tables, which a capture cannot


class Queue:
    """A stream of a GPU, and memory for the graphs captured for it; a CPU does everything at once, in order."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = torch.cuda.graph_pool_handle() if self._stream else None

    def within(self) -> AbstractContextManager[object]:
        """Send all requests to the device within the context to this queue."""
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()

    def fork(self) -> None:
        """Let later work in this queue wait for all work requested outside so far."""
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def join(self) -> None:
        """Let later work outside wait for all work requested in this queue so far."""
        if self._stream:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def captured(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return a function that does the same as `run` if it is called `within`; `run` is called to capture it.

        All captures share their memory, so no result of a run may stay there. Raises RuntimeError for what CUDA
        refuses; the device is then as before.
        """
        if self._stream is None:
            return run
        self.fork()
        graph = torch.cuda.CUDAGraph()
        try:
            with self.within():
                for _ in range(_WARM_UPS):
                    run()
                # Other threads, such as the one that watches NCCL, may call the driver meanwhile.
                with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                    run()
        except Exception:
            self._end_allocation()
            self.join()  # memory freed now and used again outside may still be written to by this queue
            raise
        return graph.replay

    def _end_allocation(self) -> None:
        """Clean up after a failed capture as torch does not: the allocator would believe it to go on for ever."""
        if self._pool is None:
            return
        with suppress(RuntimeError):  # it has not begun, or has been ended
            torch._C._cuda_endAllocateToPool(self._device.index, self._pool)
            torch._C._cuda_releasePool(self._device.index, self._pool)
