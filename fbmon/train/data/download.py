"""The download of a missing data set, by one run for all that share the folder; it can be interrupted.

It goes into a temporary folder beside its goal, which is renamed when complete. A complete data set is never removed,
and a damaged one is set aside.
"""

import itertools
import queue
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered, ProgressMade
from fbmon.host.threads import start_thread
from fbmon.host.turn import turn
from fbmon.recipe.data_sets import Archive
from fbmon.train.data.data import Samples

_DOWNLOADING = PhaseEntered("downloading data")
_PREFIX = ".download-"
_LOOK_SECONDS = 0.2
_OLD_SECONDS = 86_400.0  # without a change, where a folder's name does not say what was downloaded into it


# MD5 of the files that torchvision unpacks and then reads unchecked: those of MNIST and of Fashion-MNIST.
_UNPACKED = {
    "MNIST": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}


class Download:
    """A data set as torchvision knows it: what is downloaded, and which files are read, each with its MD5.

    Both are paths as seen from the folder of all data.
    """

    def __init__(self, title: str, archive: Archive) -> None:
        import torchvision.datasets  # a second to import, and only archives need it

        self.title = title
        self.size = archive.size
        self.folder = archive.folder
        self._kind: Any = getattr(torchvision.datasets, archive.torchvision)

    @property
    def downloads(self) -> dict[Path, str]:
        match self._kind.__name__:
            case "MNIST" | "FashionMNIST":
                return {Path(self.folder) / "raw" / name: md5 for name, md5 in self._kind.resources}
            case "SVHN":
                return self.files
            case _:
                return {Path(self._kind.filename): self._kind.tgz_md5}

    @property
    def files(self) -> dict[Path, str]:
        folder, kind = Path(self.folder), self._kind
        match kind.__name__:
            case "MNIST" | "FashionMNIST":
                return {folder / "raw" / name: md5 for name, md5 in _UNPACKED[kind.__name__].items()}
            case "SVHN":
                return {folder / kind.split_list[part][1]: kind.split_list[part][2] for part in ("train", "test")}
            case _:
                meta = kind.meta["filename"], kind.meta["md5"]
                return {folder / name: md5 for name, md5 in (*kind.train_list, *kind.test_list, meta)}

    @property
    def wanted(self) -> str:
        """The files that a user can put into the folder of all data, as part of a sentence."""
        downloads = [f"{name} (MD5 {md5})" for name, md5 in self.downloads.items()]
        return f"{', '.join(downloads)} or the unpacked folder {self.folder}"

    def is_in(self, root: Path) -> bool:
        """Say whether the complete data set lies in a folder."""
        return all(_has(root / name, md5) for name, md5 in self.files.items())

    def wrong_in(self, root: Path) -> str:
        """Return which file in a folder is another than its name says, as part of a sentence; empty if none is."""
        checked = self.files | self.downloads
        name = next(
            (name for name, md5 in checked.items() if (root / name).is_file() and not _has(root / name, md5)), ""
        )
        return f"{name} is another file than {self.title}'s, by its MD5" if name else ""

    def download_into(self, root: Path) -> None:
        """Fetch what is missing in a folder, and unpack it."""
        for train in (True, False):
            self._open(root, is_train=train, download=True)

    def read(self, root: Path, *, is_train: bool) -> Samples:
        """Read the training or the validation images."""
        part = self._open(root, is_train=is_train)
        images, labels = torch.as_tensor(part.data), part.labels if self._kind.__name__ == "SVHN" else part.targets
        match self._kind.__name__:
            case "MNIST" | "FashionMNIST":
                images = images[:, None]
            case "SVHN":
                pass
            case _:
                images = images.permute(0, 3, 1, 2)
        return Samples(images.contiguous(), torch.as_tensor(labels))

    def _open(self, root: Path, *, is_train: bool, download: bool = False) -> Any:  # noqa: ANN401 - of many classes
        if self._kind.__name__ != "SVHN":
            return self._kind(str(root), train=is_train, download=download)
        try:
            return self._kind(str(root / self.folder), split="train" if is_train else "test", download=download)
        except ModuleNotFoundError:
            raise DataError("SVHN is read with scipy, which is not installed", "pip install scipy") from None


def _has(path: Path, md5: str) -> bool:
    from torchvision.datasets.utils import check_integrity

    return bool(check_integrity(str(path), md5))


def fetch(archive: Download, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]) -> None:
    """Bring the data set into `root`, by a download of this run's own or another run's.

    `heed` is called several times a second, and may raise to end it. Raises DataError if it cannot be obtained.
    """
    waiting = _Waiting(archive, root, emit, heed)
    emit(_DOWNLOADING)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with turn(root / f".{archive.folder}.lock", waiting.look):
            if not archive.is_in(root):
                if waiting.is_told:  # the other run has given up
                    emit(_DOWNLOADING)
                _sweep(archive, root)
                _download(archive, root, emit, heed)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        wrong = archive.wrong_in(root)
        raise DataError(
            f"{archive.title} is not in {root}{f' ({wrong})' if wrong else ''} and could not be downloaded: {reason}",
            f"put {archive.wanted} into {root}",
        ) from None


class _Growth:
    """The growth of a download, reported whenever there is more of it: torchvision reports only to people."""

    def __init__(self, archive: Download, emit: Callable[[Event], None]) -> None:
        self._total = archive.size
        self._emit = emit
        self._told = 0

    def look(self, files: list[Path]) -> None:
        sizes = [0]
        for file in files:
            with suppress(OSError):
                sizes.append(file.stat().st_size)
        if max(sizes) > self._told:
            self._told = max(sizes)
            self._emit(ProgressMade("downloading", 0, self._told, self._total))


class _Waiting:
    """The waiting of this run while another one downloads."""

    def __init__(self, archive: Download, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]) -> None:
        self._patterns = [f"{_PREFIX}{archive.folder}-*/{name}" for name in archive.downloads]
        self._root = root
        self._growth = _Growth(archive, emit)
        self._emit = emit
        self._heed = heed
        self.is_told = False  # that another run is waited for

    def look(self) -> None:
        """Report that another run is downloading, and its progress."""
        self._heed()
        if not self.is_told:
            self._emit(PhaseEntered("downloading data", "another run does it"))
            self.is_told = True
        self._growth.look([path for pattern in self._patterns for path in self._root.glob(pattern)])


def _download(archive: Download, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{archive.folder}-", dir=root))
    try:
        for name, md5 in archive.downloads.items():
            if _has(root / name, md5):  # laid there by hand: unpacked without a network
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                (temporary / name).symlink_to((root / name).resolve())
        growth = _Growth(archive, emit)

        def look() -> None:
            growth.look([temporary / name for name in archive.downloads])
            heed()

        _call_beside(lambda: archive.download_into(temporary), look)
        _put(archive, temporary / archive.folder, root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _call_beside(work: Callable[[], object], look: Callable[[], None]) -> None:
    """Call `work`, and `look` again and again meanwhile; if `look` raises, `work` is left to end with the process."""
    outcomes: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def call() -> None:
        try:
            work()
        except Exception as error:
            outcomes.put(error)
        else:
            outcomes.put(None)

    start_thread(call)
    while True:
        with suppress(queue.Empty):
            error = outcomes.get(timeout=_LOOK_SECONDS)
            break
        look()
    if error:
        raise error


def _put(archive: Download, new: Path, root: Path) -> None:
    """Rename a folder to its goal, and an incomplete folder already there to another name."""
    goal = root / new.name
    try:
        if goal.exists() and not archive.is_in(root):
            goal.rename(_free_name(goal))
        if not goal.exists():
            new.rename(goal)
    except OSError:
        if not archive.is_in(root):  # else a run on another host was faster
            raise


def _free_name(goal: Path) -> Path:
    names = (goal.with_name(f"{goal.name}.damaged-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _sweep(archive: Download, root: Path) -> None:
    """Remove the leftovers of killed downloads: those of this data set, whose lock is held, and very old ones."""
    for leftover in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            is_of_this = leftover.name.startswith(f"{_PREFIX}{archive.folder}-")
            newest = max(path.stat().st_mtime for path in (leftover, *leftover.iterdir()))
            if is_of_this or time.time() - newest > _OLD_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
