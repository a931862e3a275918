"""The files of one run: what lies where, whether the run is alive, and how it is spoken to."""

import os
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from fbmon.errors import HeldError, UsageError
from fbmon.events import Command, CommandTaken, StepTaken
from fbmon.host.disk import replace
from fbmon.host.locks import Lock, try_lock
from fbmon.run.journal import Tail
from fbmon.run.life import Holder, Life, Look, look
from fbmon.run.meta import Meta
from fbmon.run.place import usual
from fbmon.text import clean

_GLANCE_SECONDS = 0.4  # for which a lock that is held may be so by one who only looks; over NFS that takes a while
_BEGINNING = 1 << 18  # bytes of a journal within which a run that has got anywhere tells its first step


class _Inside:
    """A path inside a run's folder, made when it is asked for: a table of a thousand runs asks for few of them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: "RunFolder", _kind: type) -> Path:
        return folder.path / self._name


class RunFolder:
    """The files of one run."""

    recipe = _Inside("recipe.toml")
    resolved = _Inside("resolved.toml")
    meta = _Inside("meta.json")
    journal = _Inside("journal.jsonl")
    telemetry = _Inside("telemetry.jsonl")
    progress = _Inside("progress.json")
    summary = _Inside("summary.json")
    log = _Inside("trainer.log")
    lock = _Inside("lock")
    holder = _Inside("holder.json")
    inbox = _Inside("inbox")
    checkpoints = _Inside("checkpoints")
    origin = _Inside("origin.safetensors")

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def given_name(self) -> str:
        """The name without the date behind it: what the user called the run."""
        return re.sub(r"-\d{8}-\d{6}(-\d+)?$", "", self.name)

    @property
    def typed(self) -> str:
        """The name by which a shell finds it: its own where it lies in the usual folder of runs, else its path."""
        is_usual = self.path.parent.absolute() == usual().absolute()
        return shlex.quote(clean(self.name if is_usual else str(self.path.absolute()), 4096))

    def look(self) -> Look:
        """Say whether it is being trained, by whom, and how that is known."""
        return look(self)

    def is_alive(self) -> bool:
        """Say whether it is being trained; no where nobody can tell."""
        return self.look().life is Life.RUNNING

    def has_begun(self) -> bool:
        """Say whether it is running or has taken a step; else there is nothing to show or to go on with."""
        return self.is_alive() or any(isinstance(event, StepTaken) for event in Tail(self.journal).read(_BEGINNING))

    def was_started(self) -> bool:
        """Say whether anybody has ever trained here, or begun to."""
        return self.lock.exists() or self.journal.exists()

    def seize(self, *, force: bool = False) -> int:
        """A descriptor that holds the lock, for whoever trains here; commands to an earlier trainer are thrown away.

        Raises HeldError if the run is running, and without `force` also where that cannot be told. On a file system
        without locks the note of the holder has to do.
        """
        is_new = not self.was_started()
        lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            state = self._lock(lock)
            self._refuse(look(self, Lock.MISSING if is_new else state), force=force)
            if state is Lock.REFUSED:
                self._note_instead()
        except BaseException:
            os.close(lock)
            raise
        while self.take():
            pass
        return lock

    @staticmethod
    def _lock(file: int) -> Lock:
        """Take the lock; who only looks whether it is held has it for a moment, as each `fbmon watch` does."""
        end = time.monotonic() + _GLANCE_SECONDS
        while (state := try_lock(file)) is Lock.HELD and time.monotonic() < end:
            time.sleep(_GLANCE_SECONDS / 20)
        return state

    def _note_instead(self) -> None:
        """Raises UsageError where there is nothing at all by which others could be kept out."""
        try:
            self.note(os.getpid())
        except OSError as error:
            reason = f"can hold neither a lock nor a note: {error.strerror}"
            raise UsageError(f"{clean(self.name)}: {reason}", "choose another file system with --runs-dir") from None

    def _refuse(self, seen: Look, *, force: bool) -> None:
        """Raises HeldError where somebody trains here, or may."""
        name = clean(self.name)
        if seen.life is Life.ENDED:
            return
        if seen.is_sure:
            raise HeldError(f"{name} is running", f"see it with `fbmon watch {self.typed}`")
        if seen.holder and Holder.of(os.getpid(), self.path).follows(seen.holder):
            return
        if seen.life is Life.RUNNING:
            hint = "if it was killed there, try again in a minute"
            raise HeldError(f"{name} seems to be running: {seen.trace}", hint)
        if not force:
            hint = f"make sure that it is gone there; then: fbmon resume {self.typed} --force"
            raise HeldError(f"{name} may still be running, which cannot be told from here: {seen.trace}", hint)

    def note(self, pid: int) -> Holder:
        """Leave the note that process `pid` of this machine trains here."""
        holder = Holder.of(pid, self.path)
        replace(self.holder, msgspec.json.encode(holder))
        return holder

    def read_meta(self) -> Meta | None:
        """Return what was noted at the start; None where it is missing or damaged."""
        try:
            return msgspec.json.decode(self.meta.read_bytes(), type=Meta)
        except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is a fault in UTF-8
            return None

    def first_name(self) -> str:
        """Return the name with which the run began, whatever its folder is called now; empty where that is lost."""
        meta = self.read_meta()
        return meta.name if meta else ""

    def set_devices(self, devices: str) -> None:
        """Note the devices on which the run is trained from now on; for whoever has seized it."""
        meta = self.read_meta()
        if meta:
            changed = msgspec.structs.replace(meta, devices=devices)
            made = self.meta.stat().st_mtime_ns
            replace(self.meta, msgspec.json.format(msgspec.json.encode(changed)) + b"\n")
            os.utime(self.meta, ns=(made, made))  # by which runs stand in their order

    def put(self, command: Command, source: str) -> None:
        """Lay a command into the inbox; the trainer reads it at its next block, also over a shared file system."""
        self.inbox.mkdir(mode=0o700, exist_ok=True)
        name = f"{time.time_ns()}-{os.getpid()}.json"
        # To be read by the run's owner, whoever asks, as root does by `sudo fbmon stop`; the folder keeps others out.
        replace(self.inbox / name, msgspec.json.encode(CommandTaken(command, source)), mode=0o644)

    def take(self) -> CommandTaken | None:
        """Remove the oldest command from the inbox and return it; None if there is none or it cannot be read."""
        paths: list[Path] = []
        with suppress(OSError):
            paths = sorted(self.inbox.glob("*.json"))
        for path in paths:
            with suppress(OSError, ValueError, RecursionError):
                command = msgspec.json.decode(path.read_bytes(), type=CommandTaken)
                path.unlink()
                return command
        return None
