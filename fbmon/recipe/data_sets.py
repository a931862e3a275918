"""The data sets that a recipe may name: one row each, read by trainer, plan, doctor and documentation alike."""

from dataclasses import dataclass
from typing import Literal

DataSetName = Literal["digits", "cifar10", "cifar100"]


@dataclass(frozen=True)
class Archive:
    """A download that torchvision knows how to fetch and to check."""

    torchvision: str  # the name of its class
    file: str
    folder: str  # into which it is unpacked
    size: int  # bytes, of the file


@dataclass(frozen=True)
class DataSetFacts:
    """The size and look of a data set, and where it comes from; a pixel is seen as (pixel / scale - mean) / std."""

    title: str
    train: int  # images
    val: int
    channels: int
    side: int  # pixels
    classes: int
    scale: float
    mean: tuple[float, ...]  # by channel
    std: tuple[float, ...]
    archive: Archive | None = None  # None: it ships with fbmon

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: channels, height, width."""
        return self.channels, self.side, self.side


DATA_SETS: dict[str, DataSetFacts] = {
    # The UCI handwritten digits, see fbmon/train/data/digits/LICENSE.md.
    "digits": DataSetFacts("digits", 1437, 360, 1, 8, 10, 16.0, (0.3055,), (0.376,)),
    # Krizhevsky 2009; means and deviations are the authors' constants.
    "cifar10": DataSetFacts(
        "CIFAR-10", 50_000, 10_000, 3, 32, 10, 255.0,
        (0.4914672374725342, 0.4822617471218109, 0.4467701315879822),
        (0.24703224003314972, 0.24348513782024384, 0.26158785820007324),
        Archive("CIFAR10", "cifar-10-python.tar.gz", "cifar-10-batches-py", 170_498_071),
    ),
    "cifar100": DataSetFacts(
        "CIFAR-100", 50_000, 10_000, 3, 32, 100, 255.0,
        (0.5071598291397095, 0.4866936206817627, 0.44120192527770996),
        (0.2673342823982239, 0.2564384639263153, 0.2761504650115967),
        Archive("CIFAR100", "cifar-100-python.tar.gz", "cifar-100-python", 169_001_437),
    ),
}  # fmt: skip
