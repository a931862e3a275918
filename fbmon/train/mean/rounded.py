"""A sum of gradients in float64 whose terms are rounded to multiples of a unit, so that it is exact in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fbmon.train.mean import fused

# Numbers that go through all operations together: their terms stay in a core's cache. For ResNet-18's 11 million one
# block costs 26 ms on a core, operation after operation over all of them 90 ms. A GPU takes all at once.
_CHUNK = 1 << 16


def flat(tensor: Tensor) -> Tensor:
    """Return all entries (N,) in memory order: a view even of weights that lie channels last."""
    if tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(-1)


def unflatten(total: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return views of (N,) in the shapes of the parameters, whose entries `flat` laid out one after the other."""
    parts = torch.split(total, [parameter.numel() for parameter in parameters])
    return [part.as_strided(like.shape, like.stride()) for part, like in zip(parts, parameters, strict=True)]


def largest_entries(gradient: Sequence[Tensor]) -> Tensor:
    """Return the largest absolute value of each part, (parameters,)."""
    if gradient[0].is_cuda:
        return torch.stack(torch._foreach_norm(list(gradient), ord=torch.inf))
    return torch.stack([_largest(part) for part in gradient])  # a tenth of the time of the norm on a CPU


def _largest(part: Tensor) -> Tensor:
    low, high = torch.aminmax(part.detach())
    return torch.maximum(-low, high)


@dataclass(frozen=True)
class _Piece:
    """Entries `start` to `stop` of parameter `number`, and their slice of a chunk's terms."""

    number: int
    start: int
    stop: int
    terms: Tensor


@dataclass(frozen=True)
class _Chunk:
    """A part of the sum, with views of everything that belongs to it."""

    total: Tensor  # (rows, n)
    magic: Tensor
    terms: Tensor
    pieces: list[_Piece]


class RoundedSum:
    """A sum of gradients: `total`, float64 (rows, N), holds all entries of all parameters, as `flat` lays them out.

    The sum is that of its rows. With `finer`, a power of two, there are two rows: the remainder of rounding a term to a
    unit is added up in the second, rounded to `finer` units. Without it, the remainder is dropped.
    """

    def __init__(self, parameters: Sequence[Tensor], finer: float | None = None) -> None:
        self._parameters = parameters
        self._finer = finer
        self._sizes = [parameter.numel() for parameter in parameters]
        device, numbers = parameters[0].device, sum(self._sizes)
        self._counts = torch.tensor(self._sizes, device=device)
        self.total = torch.zeros(1 if finer is None else 2, numbers, dtype=torch.float64, device=device)
        self._magic = torch.zeros_like(self.total[0])
        is_cuda = device.type == "cuda"
        dtype = parameters[0].dtype if is_cuda else torch.float64  # the kernel for GPUs converts as it reads
        self._chunks = self._cut(torch.empty(numbers if is_cuda else min(numbers, _CHUNK), dtype=dtype, device=device))

    def start(self, units: Tensor) -> None:
        """Begin anew at zero, with these units, float64 (parameters,)."""
        self.total.zero_()
        # Adding 1.5 * 2^52 units pushes all that is smaller than a unit out of a number; subtracting brings it back.
        magic = (1.5 * 2.0**52 * units).repeat_interleave(self._counts, output_size=len(self._magic))
        self._magic.copy_(magic)

    def add(self, gradient: Sequence[Tensor], weight: float | Tensor) -> None:
        """Add `weight` times a gradient, each term rounded to its unit."""
        flats = [flat_like(part, like) for part, like in zip(gradient, self._parameters, strict=True)]
        for chunk in self._chunks:
            parts = [flats[piece.number][piece.start : piece.stop] for piece in chunk.pieces]
            torch._foreach_copy_([piece.terms for piece in chunk.pieces], parts)
            if self._finer is None:
                fused.add_rounded_(chunk.total[0], chunk.terms, chunk.magic, weight)
            else:
                self._add_with_rest_(chunk, weight, self._finer)

    def parts(self) -> list[Tensor]:
        """Return the sum in the shapes of the parameters, as views if it has one row."""
        total = self.total[0] if self._finer is None else self.total.sum(0)
        return unflatten(total, self._parameters)

    def _add_with_rest_(self, chunk: _Chunk, weight: float | Tensor, finer: float) -> None:
        rest = chunk.terms.double().mul_(weight)
        for total, magic in zip(chunk.total, (chunk.magic, chunk.magic * finer), strict=True):
            rounded = (rest + magic).sub_(magic)
            total.add_(rounded)
            rest.sub_(rounded)  # without a rounding of its own, as it is no larger than half a unit

    def _cut(self, terms: Tensor) -> list[_Chunk]:
        """Cut the sum into chunks that share one stretch of memory for their terms."""
        chunks: list[_Chunk] = []
        begin, pieces, used = 0, list[_Piece](), 0
        for number, size in enumerate(self._sizes):
            start = 0
            while start < size:
                stop = min(size, start + len(terms) - used)
                pieces.append(_Piece(number, start, stop, terms[used : used + stop - start]))
                used, start = used + stop - start, stop
                if used == len(terms):
                    chunks.append(self._chunk(begin, used, terms, pieces))
                    begin, pieces, used = begin + used, [], 0
        return [*chunks, self._chunk(begin, used, terms, pieces)] if pieces else chunks

    def _chunk(self, begin: int, used: int, terms: Tensor, pieces: list[_Piece]) -> _Chunk:
        end = begin + used
        return _Chunk(self.total[:, begin:end], self._magic[begin:end], terms[:used], pieces)


def flat_like(part: Tensor, like: Tensor) -> Tensor:
    """Return the entries of `part` in the memory order of `like`; a copy only if the two lie differently."""
    return flat(part) if part.stride() == like.stride() else flat(part.contiguous(memory_format=format_of(like)))


def format_of(tensor: Tensor) -> torch.memory_format:
    """Return the memory format of a tensor."""
    is_last = tensor.dim() == 4 and not tensor.is_contiguous()
    return torch.channels_last if is_last else torch.contiguous_format
