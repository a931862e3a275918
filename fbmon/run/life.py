"""The life of a run: what its lock says, who trains it, and how long ago they gave a sign of life.

A lock alone does not tell. Some file systems have none (ENOLCK, ENOSYS), and where several hosts share one it may hold
within each of them only, as on NFS with `local_lock` and on many of FUSE. So whoever trains leaves a note of itself in
the folder, touches it once a second, and takes it away at the end. Its own host decides by the process at once, another
one by the age of the last sign, which the clock of the file system tells: no two hosts' clocks need to agree.
"""

import functools
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from fbmon.events import RunEnded
from fbmon.host.locks import Lock, probe, refusal
from fbmon.ranks.rank import job_of
from fbmon.run.journal import last_event
from fbmon.text import as_utf8, clean, duration

if TYPE_CHECKING:
    from fbmon.run.folder import RunFolder

SILENCE_SECONDS = 60.0  # NFS may show a file as it was a minute ago; a holder touches its note every second


class Life(Enum):
    """The answers to whether a run is being trained."""

    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"  # somewhere else, and silent: nobody can tell from here


class Holder(msgspec.Struct, frozen=True):
    """A process that trains in a run's folder."""

    host: str
    boot: str  # changes with every start of the system; empty where there is no such thing
    namespace: int  # in which the process has its number: a container has its own
    pid: Annotated[int, msgspec.Meta(gt=0, lt=1 << 31)]
    started: int  # clock ticks after the boot: the number may be another process's by now; 0 if unknown
    folder: int  # inode: a copy of the folder has another one
    job: str = ""
    restarts: int = 0  # of the job

    @classmethod
    def of(cls, pid: int, folder: Path) -> "Holder":
        """A process of this machine."""
        job = job_of(os.environ)
        return cls(
            as_utf8(socket.gethostname()),
            _boot(),
            _namespace(),
            pid,
            _started(pid),
            _inode(folder),
            as_utf8(job.name),
            job.restarts,
        )

    def is_of_the_kernel_of(self, other: "Holder") -> bool:
        """Say whether one kernel runs both, in one container or in two."""
        return self.boot == other.boot and bool(self.boot or self.host == other.host)

    def is_same(self, other: "Holder") -> bool:
        """Say whether both are one process, whose host may have another name by now."""
        return (self.boot, self.namespace, self.pid, self.started) == (
            other.boot,
            other.namespace,
            other.pid,
            other.started,
        )

    @property
    def name(self) -> str:
        """The process and its host in words."""
        return f"process {self.pid} on host {clean(self.host, 64)}"

    def follows(self, other: "Holder") -> bool:
        """Say whether this is a later start of the other's batch job by Slurm, which ends the earlier one first."""
        return self.job == other.job and self.job.startswith("slurm ") and self.restarts > other.restarts


class Guard:
    """Keeps others out of the folder of a run that this process trains, also where locks do not."""

    def __init__(self, run: "RunFolder") -> None:
        self._run = run
        self._own = Holder.of(os.getpid(), run.path)
        self._leave_note()

    def sign(self) -> str:
        """Give a sign of life; who has taken the run over, if somebody has."""
        there = read_holder(self._run)
        if there is None:
            self._leave_note()
        elif not there.is_same(self._own):
            return there.name
        else:
            with suppress(OSError):
                os.utime(self._run.holder)
        return ""

    def end(self) -> None:
        """Take the note away: there is nobody any more."""
        there = read_holder(self._run)
        if there is not None and there.is_same(self._own):
            with suppress(OSError):
                self._run.holder.unlink()

    def _leave_note(self) -> None:
        with suppress(OSError):  # a full disk: the lock, where there is one, keeps others out
            self._run.note(os.getpid())


@dataclass(frozen=True)
class Look:
    """All that can be known of a run's life from here."""

    life: Life
    holder: Holder | None = None
    silent: float | None = None  # seconds since the last sign; None if they cannot be told
    is_sure: bool = True  # the kernel says so, and not only a sign of life

    @property
    def trace(self) -> str:
        """The process that trains or trained, and when it was last heard of."""
        who = self.holder.name if self.holder else "an unknown process"
        return f"{who}, last sign of life {duration(self.silent)} ago" if self.silent is not None else who


def look(run: "RunFolder", lock: Lock | None = None) -> Look:
    """Look at a run, whose `lock` is as given if the caller has taken it."""
    lock = lock or probe(run.lock)
    holder = read_holder(run)
    if lock is Lock.HELD:
        return Look(Life.RUNNING, holder)
    if holder is None:
        return Look(Life.ENDED) if lock is not Lock.REFUSED else _judge(run, None, was_rebooted=False)
    here = Holder.of(os.getpid(), run.path)
    if here.is_of_the_kernel_of(holder):
        if here.namespace == holder.namespace:
            is_there = _is_there(holder)
            if is_there and here.folder == holder.folder:
                return Look(Life.RUNNING, holder)
            if not is_there and here.host == holder.host:
                return Look(Life.ENDED, holder)
        if lock is Lock.FREE and not refusal(run.lock):  # another container, a copy, or the host has a new name
            return Look(Life.ENDED, holder)
    return _judge(run, holder, was_rebooted=here.host == holder.host and here.boot != holder.boot)


def _judge(run: "RunFolder", holder: Holder | None, *, was_rebooted: bool) -> Look:
    """Judge by the signs of life alone."""
    silent = _silence(run)
    has_ended = isinstance(last_event(run.journal), RunEnded)
    if holder is None and has_ended:  # whoever leaves in order takes the note away
        life = Life.ENDED
    elif silent is None:
        life = Life.UNKNOWN
    elif silent < SILENCE_SECONDS:
        life = Life.RUNNING
    else:
        life = Life.ENDED if has_ended or was_rebooted else Life.UNKNOWN
    return Look(life, holder, silent, is_sure=False)


def read_holder(run: "RunFolder") -> Holder | None:
    """The note in the folder; None where there is none that can be read."""
    try:
        return msgspec.json.decode(run.holder.read_bytes(), type=Holder)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _silence(run: "RunFolder") -> float | None:
    """Seconds since the last sign of life; None where no clock tells."""
    offset = _clock(run.path, int(time.monotonic() // 60))
    last = max(_signs(run), default=None)
    if offset is None or last is None:
        return None
    silent = time.monotonic() + offset - last
    return max(0.0, silent) if silent > -SILENCE_SECONDS else None  # a sign from the future: the clock was set back


def _signs(run: "RunFolder") -> Iterator[float]:
    for path in (run.holder, run.lock, run.journal, run.telemetry, run.progress):
        # Opened: over NFS only an open sees what another host has written.
        with suppress(OSError), path.open("rb") as file:
            yield os.fstat(file.fileno()).st_mtime


@functools.lru_cache(maxsize=256)
def _clock(folder: Path, _minute: int) -> float | None:
    """Return how far the file system's clock is before this process's, asked once a minute; None if it is read-only."""
    with suppress(OSError), tempfile.TemporaryFile(dir=folder, prefix=".clock-") as file:
        return os.fstat(file.fileno()).st_mtime - time.monotonic()
    return None


def _is_there(holder: Holder) -> bool:
    """Say whether the process lives, in the namespace in which this is asked; a zombie does not."""
    started = _started(holder.pid)
    if started and holder.started:
        return started == holder.started and _state(holder.pid) not in ("Z", "X")
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _started(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """Return the kernel's words on a process from its state on; none where it says nothing, or of other namespaces."""
    with suppress(OSError):
        if Path("/proc/self").readlink() == Path(str(os.getpid())):
            return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []


def _inode(folder: Path) -> int:
    with suppress(OSError):
        return folder.stat().st_ino
    return 0


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _namespace() -> int:
    with suppress(OSError):
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - of what the link points to
    return 0
