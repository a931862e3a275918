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
from typing import TYPE_CHECKING

from fbmon.errors import DataError
from fbmon.events import Event, PhaseEntered, ProgressMade
from fbmon.host.threads import start_thread
from fbmon.host.turn import turn
from fbmon.recipe.data_sets import Archive

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

_DOWNLOADING = PhaseEntered("downloading data")
_PREFIX = ".download-"
_LOOK_SECONDS = 0.2
_OLD_SECONDS = 86_400.0  # without a change, where a folder's name does not say what was downloaded into it


class Download:
    """An archive as torchvision knows it, which checks the MD5 of every file before it reads it."""

    def __init__(self, title: str, archive: Archive) -> None:
        import torchvision.datasets  # a second to import, and only archives need it

        self.title = title
        self.size = archive.size
        self.kind: type[CIFAR10] = getattr(torchvision.datasets, archive.torchvision)

    def is_in(self, root: Path) -> bool:
        """Say whether the complete data set lies in a folder."""
        try:
            self.kind(str(root), train=False)
        except RuntimeError:
            return False
        return True


def fetch(archive: Download, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]) -> None:
    """Bring the data set into `root`, by a download of this run's own or another run's.

    `heed` is called several times a second, and may raise to end it. Raises DataError if it cannot be obtained.
    """
    waiting = _Waiting(archive, root, emit, heed)
    emit(_DOWNLOADING)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with turn(root / f".{archive.kind.base_folder}.lock", waiting.look):
            if not archive.is_in(root):
                if waiting.is_told:  # the other run has given up
                    emit(_DOWNLOADING)
                _sweep(archive, root)
                _download(archive, root, emit, heed)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        kind = archive.kind
        raise DataError(
            f"{archive.title} is not in {root} and could not be downloaded: {reason}",
            f"put {kind.filename} (MD5 {kind.tgz_md5}) or the unpacked folder {kind.base_folder} into {root}",
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
        self._pattern = f"{_PREFIX}{archive.kind.base_folder}-*/{archive.kind.filename}"
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
        self._growth.look(list(self._root.glob(self._pattern)))


def _download(archive: Download, root: Path, emit: Callable[[Event], None], heed: Callable[[], None]) -> None:
    kind = archive.kind
    temporary = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind.base_folder}-", dir=root))
    try:
        laid = root / kind.filename
        if laid.exists():  # by hand: checked and unpacked without a network
            (temporary / laid.name).symlink_to(laid.resolve())
        growth = _Growth(archive, emit)

        def look() -> None:
            growth.look([temporary / laid.name])
            heed()

        _call_beside(lambda: kind(str(temporary), download=True), look)
        _put(archive, temporary / kind.base_folder, root)
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
            is_of_this = leftover.name.startswith(f"{_PREFIX}{archive.kind.base_folder}-")
            newest = max(path.stat().st_mtime for path in (leftover, *leftover.iterdir()))
            if is_of_this or time.time() - newest > _OLD_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
