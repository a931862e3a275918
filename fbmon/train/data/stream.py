"""Inputs that stay on the disk, or in the memory of the host, and are read block by block, the next one ahead."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64] | slice
Read = Callable[[Rows], Tensor]


class Stream:
    """Inputs (N, ...) that `read` returns row by row, on the host; indexed like a tensor, by a slice or int64 (B,).

    Of the blocks that `expect` names, the next one is read by a thread while the present one is computed with. Memory
    is `pinned` if it is to be copied to a GPU.
    """

    def __init__(self, read: Read, rows: NDArray[np.int64], *, is_pinned: bool = False) -> None:
        self._read = read
        self._rows = rows
        self._is_pinned = is_pinned
        self._reader = ThreadPoolExecutor(1, "reader")
        self._expected: deque[Tensor] = deque()
        self._ahead: tuple[Tensor, Future[Tensor]] | None = None

    @classmethod
    def of(cls, inputs: Tensor) -> "Stream":
        """Return a stream of inputs in the memory of the host."""
        return cls(lambda rows: inputs[rows], np.arange(len(inputs)))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def nbytes(self) -> int:
        return len(self) * self[:1].nbytes

    def only(self, numbers: Tensor | slice) -> "Stream":
        """Return the stream of some of the inputs; nothing is read."""
        return Stream(self._read, self._rows[_on_host(numbers)], is_pinned=self._is_pinned)

    def pinned(self) -> "Stream":
        return Stream(self._read, self._rows, is_pinned=True)

    def expect(self, blocks: Sequence[Tensor]) -> None:
        """Name the blocks that will be asked for next, in their order, each by its numbers."""
        self._expected = deque(blocks)
        if self._ahead and blocks and torch.equal(self._ahead[0], blocks[0]):
            self._expected.popleft()
        else:
            self._look_ahead()

    def __getitem__(self, numbers: Tensor | slice) -> Tensor:
        ahead = self._ahead
        if ahead is None or isinstance(numbers, slice) or not torch.equal(ahead[0], numbers):
            return self._take(numbers)
        inputs = ahead[1].result()
        self._look_ahead()
        return inputs

    def _look_ahead(self) -> None:
        self._ahead = None
        if self._expected:
            numbers = self._expected.popleft()
            self._ahead = numbers, self._reader.submit(self._take, numbers)

    def _take(self, numbers: Tensor | slice) -> Tensor:
        rows = self._rows[_on_host(numbers)]
        inputs = self._read(_as_slice(rows))
        return inputs.pin_memory() if self._is_pinned else inputs


def _on_host(numbers: Tensor | slice) -> Rows:
    return numbers if isinstance(numbers, slice) else numbers.numpy()


def _as_slice(rows: NDArray[np.int64]) -> Rows:
    """Return rows that follow each other as a slice: they are read at once."""
    is_slice = len(rows) > 0 and bool((np.diff(rows) == 1).all())
    return slice(int(rows[0]), int(rows[-1]) + 1) if is_slice else rows
