"""The largest eigenvalues of a symmetric operator by the Lanczos method, every vector kept orthogonal to all others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # of the operator with a vector (n,), in float64

_EXHAUSTED = 1e-12  # of the largest value: a shorter new direction is only rounding, and the basis is complete


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues, descending; `residuals` bound how far each is from an exact one."""

    values: tuple[float, ...]
    residuals: tuple[float, ...]
    products: int


def largest(product: Product, start: Tensor, count: int, most: int, tolerance: float) -> Spectrum:
    """Return the `count` largest eigenvalues, with residuals below `tolerance` times the largest one's size.

    `start` (n,) is any vector with a share of the eigenvectors sought; the vectors are kept in its dtype, n numbers
    for each product, and added up in float64. After `most` products the values are returned as they are: never
    above the exact ones, except by rounding. An operator of rank below `count` has fewer, and one that is not finite
    none.
    """
    basis: list[Tensor] = []
    diagonal: list[float] = []
    beside: list[float] = []
    direction = start.double()
    length = float(direction.norm())
    while True:
        basis.append((direction / length).to(start.dtype))
        direction = product(basis[-1])
        diagonal.append(float(direction @ basis[-1].double()))
        for _ in range(2):  # one round leaves what it has rounded away; twice is enough (Parlett 1980, 6.9)
            for vector in basis:
                direction -= (direction @ vector.double()) * vector.double()
        length = float(direction.norm())
        if not math.isfinite(diagonal[-1] + length):
            return Spectrum((), (), len(basis))
        values, residuals = _ritz(diagonal, beside, length)
        size = float(np.abs(values).max())
        if len(basis) >= most or length <= _EXHAUSTED * size or (
            len(basis) >= count and (residuals[:count] <= tolerance * size).all()
        ):  # fmt: skip
            return Spectrum(tuple(values[:count].tolist()), tuple(residuals[:count].tolist()), len(basis))
        beside.append(length)


def start_vector(like: Sequence[Tensor], seed: int) -> Tensor:
    """Return a Gaussian vector (n,) for parameters like these: the same at every call, on every rank and device."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(part.numel() for part in like)
    return torch.randn(count, generator=generator, dtype=torch.float64).to(like[0])


def _ritz(diagonal: list[float], beside: list[float], length: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the eigenvalues of the tridiagonal matrix, descending, and the residual of each in the operator."""
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return values[::-1], length * np.abs(vectors[-1, ::-1])
