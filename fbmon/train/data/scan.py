"""One look through all of a user's own samples: what they are normalized by, whether they are finite, their digest."""

import hashlib
import math
from collections.abc import Callable

import msgspec
import torch
from torch import Tensor

from fbmon.recipe.data_sets import DataSetFacts
from fbmon.train.data.data import Samples

_BYTES = 1 << 24  # of inputs looked at together
_VALUES = 256  # of a pixel


class Seen(msgspec.Struct, frozen=True):
    """The result of a look through samples."""

    digest: str  # the SHA-256 of all samples, in their order
    targets: str  # that of the targets alone
    mean: tuple[float, ...] = ()  # of images by channel, over those of training
    std: tuple[float, ...] = ()


def scan(train: Samples, val: Samples, facts: DataSetFacts, heed: Callable[[], None]) -> Seen:
    """Look through the samples, some megabytes at a time. Raises ValueError for an input that is not finite.

    `heed` is called again and again meanwhile, and may raise.
    """
    targets = digest_of_targets(train, val)
    digest, counts = hashlib.sha256(targets.encode()), torch.zeros(facts.form.shape[0], _VALUES, dtype=torch.int64)
    for name, samples in (("x", train), ("x_val", val)):
        size = max(1, _BYTES // max(1, samples.inputs[:1].nbytes))
        for start in range(0, len(samples), size):
            heed()
            inputs = samples.inputs[start : start + size]
            digest.update(inputs.contiguous().numpy().data)
            if facts.form.kind == "numbers":
                refuse_not_finite(inputs, name, start)
            elif facts.form.kind == "images" and samples is train:
                counts += torch.stack([torch.bincount(part.flatten(), minlength=_VALUES) for part in inputs.unbind(1)])
    mean, std = _moments(counts, facts.scale) if facts.form.kind == "images" else ((), ())
    return Seen(digest.hexdigest(), targets, mean, std)


def digest_of_targets(train: Samples, val: Samples) -> str:
    digest = hashlib.sha256()
    for samples in (train, val):
        digest.update(samples.targets.contiguous().numpy().data)
    return digest.hexdigest()


def refuse_not_finite(values: Tensor, name: str, first: int = 0) -> None:
    """Raise ValueError with the first sample of (N, ...), counted from `first`, of which a number is not finite."""
    is_good = values.flatten(1).isfinite().all(1)
    if not is_good.all():
        raise ValueError(f"{name} is not finite in sample {first + int(is_good.logical_not().nonzero()[0])}")


def _moments(counts: Tensor, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation of each channel, over `scale`; `counts` (C, 256) has the pixels of each value."""
    values = torch.arange(_VALUES)
    means, deviations = [], []
    for count, total, square in torch.stack(
        [counts.sum(1), (counts * values).sum(1), (counts * values.square()).sum(1)], 1
    ).tolist():
        means.append(total / count / scale)
        # A channel that is all one colour stays as it is.
        deviations.append(math.sqrt(count * square - total**2) / count / scale or 1.0)
    return tuple(means), tuple(deviations)
