"""The data sets that a recipe may name: one row each, read by trainer, plan, doctor and documentation alike."""

import math
from dataclasses import dataclass
from typing import Literal

DataSetName = Literal["digits", "mnist", "fashion_mnist", "svhn", "cifar10", "cifar100"]
Kind = Literal["images", "numbers", "tokens"]  # uint8 pixels; floating-point numbers; whole numbers below a vocabulary


@dataclass(frozen=True)
class Form:
    """The form of a sample: what goes into a network, and what it is compared with."""

    kind: Kind
    shape: tuple[int, ...]  # of an input; of an image: channels, height, width
    classes: int | None = None  # of the targets; None: they are numbers
    target: tuple[int, ...] = ()  # the shape of a target; (): a single class
    vocabulary: int | None = None  # of tokens

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of what a network returns for a sample: as targets are, logits of the classes before all else."""
        return self.target if self.classes is None else (self.classes, *self.target)

    @property
    def features(self) -> int:
        """The number of numbers that make an input."""
        return math.prod(self.shape)

    @property
    def is_picture(self) -> bool:
        """Say whether an input has channels, height and width."""
        return len(self.shape) == 3 and self.kind != "tokens"

    def __str__(self) -> str:
        noun = {"images": "an image", "numbers": "numbers", "tokens": "tokens"}[self.kind]
        return f"{noun} of {self.shape}"


@dataclass(frozen=True)
class Archive:
    """A download that torchvision knows how to fetch, to check and to read."""

    torchvision: str  # the name of its class
    file: str  # what is downloaded, or the first of several files
    folder: str  # in which the files lie that are read
    size: int  # bytes of the largest download


@dataclass(frozen=True)
class DataSetFacts:
    """The size and look of a data set, and where it comes from; a pixel is seen as (pixel / scale - mean) / std."""

    title: str
    train: int  # samples
    val: int
    form: Form
    scale: float = 1.0
    mean: tuple[float, ...] = ()  # by channel
    std: tuple[float, ...] = ()
    archive: Archive | None = None  # None: it ships with fbmon, or is the user's own


def image_form(channels: int, side: int, classes: int) -> Form:
    """Return the form of square images."""
    return Form("images", (channels, side, side), classes)


# Means and deviations are those of the training images; CIFAR's are the authors' constants.
DATA_SETS: dict[str, DataSetFacts] = {
    # The UCI handwritten digits, see fbmon/train/data/digits/LICENSE.md.
    "digits": DataSetFacts("digits", 1437, 360, image_form(1, 8, 10), 16.0, (0.3055,), (0.376,)),
    # LeCun, Bottou, Bengio and Haffner 1998.
    "mnist": DataSetFacts(
        "MNIST", 60_000, 10_000, image_form(1, 28, 10), 255.0, (0.1307,), (0.3081,),
        Archive("MNIST", "train-images-idx3-ubyte.gz", "MNIST", 9_912_422),
    ),
    # Xiao, Rasul and Vollgraf 2017.
    "fashion_mnist": DataSetFacts(
        "Fashion-MNIST", 60_000, 10_000, image_form(1, 28, 10), 255.0, (0.2860,), (0.3530,),
        Archive("FashionMNIST", "train-images-idx3-ubyte.gz", "FashionMNIST", 26_421_880),
    ),
    # Netzer et al. 2011, without its extra images.
    "svhn": DataSetFacts(
        "SVHN", 73_257, 26_032, image_form(3, 32, 10), 255.0,
        (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970),
        Archive("SVHN", "train_32x32.mat", "SVHN", 182_040_794),
    ),
    # Krizhevsky 2009.
    "cifar10": DataSetFacts(
        "CIFAR-10", 50_000, 10_000, image_form(3, 32, 10), 255.0,
        (0.4914672374725342, 0.4822617471218109, 0.4467701315879822),
        (0.24703224003314972, 0.24348513782024384, 0.26158785820007324),
        Archive("CIFAR10", "cifar-10-python.tar.gz", "cifar-10-batches-py", 170_498_071),
    ),
    "cifar100": DataSetFacts(
        "CIFAR-100", 50_000, 10_000, image_form(3, 32, 100), 255.0,
        (0.5071598291397095, 0.4866936206817627, 0.44120192527770996),
        (0.2673342823982239, 0.2564384639263153, 0.2761504650115967),
        Archive("CIFAR100", "cifar-100-python.tar.gz", "cifar-100-python", 169_001_437),
    ),
}  # fmt: skip
