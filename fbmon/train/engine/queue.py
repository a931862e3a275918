"""A queue of a device beside others, and recording work for it as a graph, which the host asks for as a whole."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import torch

_WARM_UPS = 2  # the first run chooses algorithms and makes tables, which a capture cannot


class Queue:
    """A stream of a GPU, and memory for what is captured for it; a CPU does everything at once, in order."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = torch.cuda.graph_pool_handle() if self._stream else None

    def within(self) -> AbstractContextManager[object]:
        """Let what is asked of the device go into this queue."""
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()

    def fork(self) -> None:
        """Let what follows in this queue come after what has been asked for outside."""
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def join(self) -> None:
        """Let what follows outside come after what has been asked for in this queue."""
        if self._stream:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def captured(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return what computes the same as `run`, if it is called within; `run` itself is called to find that out.

        All that is captured shares its memory, so nothing of a run may stay there. Raises RuntimeError for what CUDA
        refuses; the device is then as it was.
        """
        if self._stream is None:
            return run
        self.fork()
        graph = torch.cuda.CUDAGraph()
        try:
            with self.within():
                for _ in range(_WARM_UPS):
                    run()
                # Other threads, as that which looks after NCCL, may ask the driver for something meanwhile.
                with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                    run()
        except Exception:
            self._end_allocation()
            self.join()  # memory that is let go of now, and used again outside, may still be written to in here
            raise
        return graph.replay

    def _end_allocation(self) -> None:
        """Do what torch leaves undone where a capture fails: the allocator would take it to go on for ever."""
        if self._pool is None:
            return
        with suppress(RuntimeError):  # it has not begun, or has been ended
            torch._C._cuda_endAllocateToPool(self._device.index, self._pool)
            torch._C._cuda_releasePool(self._device.index, self._pool)
