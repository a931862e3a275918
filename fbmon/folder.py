"""A run's folder: what lies where, how a run is created, found and spoken to, and whether it is alive."""

import difflib
import fcntl
import getpass
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote_to_bytes

import msgspec

import fbmon
from fbmon.errors import UsageError
from fbmon.events import Command, StepTaken
from fbmon.journal import Tail
from fbmon.text import NAME_PATTERN, as_utf8, clean

# What a signal to a run means; several of Slurm's may come in turn. While a process starts they are blocked, so that
# none is lost or deadly before its handler stands.
SIGNALS: dict[signal.Signals, Command] = {
    signal.SIGINT: "stop",
    signal.SIGTERM: "preempt",
    signal.SIGUSR1: "preempt",
    signal.SIGUSR2: "preempt",
}

_BEGINNING = 1 << 18  # bytes of a journal within which a run that has got anywhere tells its first step


class Meta(msgspec.Struct, frozen=True):
    """meta.json: where, when, by what and on what a run was started. Paths are as `written` has them."""

    name: str
    created: str  # ISO 8601, UTC
    host: str
    user: str
    command: list[str]
    directory: str
    recipe_file: str
    devices: str  # as asked: "auto", "cpu", "cuda:0"
    data_dir: str | None
    versions: dict[str, str]
    git: str  # commit of the directory, with "+" when it had changes; empty outside a repository
    job: str = ""  # the batch job that started it
    stall_seconds: float | None = None  # given up after so long without a sign


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
    inbox = _Inside("inbox")
    checkpoints = _Inside("checkpoints")

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
        """What a shell is to be told of it: its name where it lies in the usual folder of runs, else its path."""
        is_usual = self.path.parent.absolute() == usual().absolute()
        return shlex.quote(clean(self.name if is_usual else str(self.path.absolute()), 4096))

    def is_alive(self) -> bool:
        """Whether a supervisor holds the lock; the kernel frees it whatever way the supervisor dies."""
        try:
            with self.lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def has_begun(self) -> bool:
        """Whether it is running or has taken a step; else there is nothing to show or to go on with."""
        return self.is_alive() or any(isinstance(event, StepTaken) for event in Tail(self.journal).read(_BEGINNING))

    def seize(self) -> int:
        """A descriptor that holds the lock, for whoever trains here; commands to an earlier trainer are thrown away.

        Raises UsageError if the run is running.
        """
        lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UsageError(f"{clean(self.name)} is running", f"see it with `fbmon watch {self.typed}`") from None
        while self.take():
            pass
        return lock

    def read_meta(self) -> Meta | None:
        """What was noted at the start; None where it is missing or damaged."""
        try:
            return msgspec.json.decode(self.meta.read_bytes(), type=Meta)
        except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is a fault in UTF-8
            return None

    def set_devices(self, devices: str) -> None:
        """From now on the run is to be trained on these; for whoever has seized it."""
        meta = self.read_meta()
        if meta:
            changed = msgspec.structs.replace(meta, devices=devices)
            made = self.meta.stat().st_mtime_ns
            replace(self.meta, msgspec.json.format(msgspec.json.encode(changed)) + b"\n")
            os.utime(self.meta, ns=(made, made))  # by which runs stand in their order

    def put(self, command: Command, source: str) -> None:
        """Lay a command into the inbox; the trainer reads it at its next block, also over a shared file system."""
        name = f"{time.time_ns()}-{os.getpid()}.json"
        replace(self.inbox / name, msgspec.json.encode(Asked(command, source)))

    def take(self) -> "Asked | None":
        """The oldest command in the inbox, removed from it."""
        for path in sorted(self.inbox.glob("*.json")):
            with suppress(OSError, ValueError, RecursionError):
                asked = msgspec.json.decode(path.read_bytes(), type=Asked)
                path.unlink()
                return asked
        return None


class Asked(msgspec.Struct, frozen=True):
    """A command in the inbox, and who laid it there."""

    command: Command
    source: str


def replace(path: Path, content: bytes) -> None:
    """Write a whole file so that a reader sees the old content or the new, never a part; a failure leaves nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def written(path: Path) -> str:
    """A path for a JSON file: its text, or a URI where its name is not UTF-8; `as_path` reads both."""
    return str(path) if as_utf8(str(path)) == str(path) else path.absolute().as_uri()


def as_path(text: str) -> Path:
    """The path that was `written`."""
    if text.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix("file://"))))
    return Path(text)


def create(
    runs_dir: Path,
    name: str,
    recipe_file: Path,
    resolved: str,
    devices: str,
    data_dir: Path | None,
    job: str = "",
    stall_seconds: float | None = None,
) -> RunFolder:
    """A new folder NAME-DATE-TIME in `runs_dir` with the recipe as given, the resolved one and meta.json.

    Never touches an existing run. Raises UsageError for a name that is none and where nothing can be written.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"--name {clean(name)}: must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit"
        )
    _refuse_file(runs_dir)
    given = recipe_file.read_bytes()
    now = datetime.now(UTC)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        folder = RunFolder(_make_new(runs_dir, f"{name}-{now:%Y%m%d-%H%M%S}"))
        folder.inbox.mkdir(mode=0o700)
        meta = _meta(folder.name, now, recipe_file, devices, data_dir)
        meta = msgspec.structs.replace(meta, job=job, stall_seconds=stall_seconds)
        _write_new(folder.recipe, given)
        _write_new(folder.resolved, resolved.encode())
        _write_new(folder.meta, msgspec.json.format(msgspec.json.encode(meta)) + b"\n")
    except OSError as error:
        raise UsageError(
            f"{clean(str(runs_dir))}: no run can be made here: {error.strerror}", "try --runs-dir"
        ) from None
    return folder


def usual() -> Path:
    """Where runs lie, unless a command is told otherwise."""
    return Path(os.environ.get("FBMON_RUNS") or "runs")


def every(runs_dir: Path) -> list[RunFolder]:
    """All runs in `runs_dir`, newest first; none where there is no such folder yet. Raises UsageError for a file."""
    _refuse_file(runs_dir)
    if not runs_dir.is_dir():
        return []
    found = [RunFolder(path) for path in runs_dir.iterdir() if is_run(path)]
    return sorted(found, key=_created, reverse=True)


def _refuse_file(runs_dir: Path) -> None:
    if runs_dir.exists() and not runs_dir.is_dir():
        raise UsageError(f"{clean(str(runs_dir))}: is not a folder", "name one with --runs-dir or FBMON_RUNS")


def running(runs_dir: Path) -> RunFolder | None:
    """The newest run that is alive."""
    return next((folder for folder in every(runs_dir) if folder.is_alive()), None)


def find(runs_dir: Path, given: str | None) -> RunFolder:
    """The run meant by `given`: a path, a folder name, or the beginning of one (the newest such).

    None is the newest that has begun; if none has, the newest. Raises UsageError when there is none.
    """
    if given is not None and is_run(Path(given)):
        return RunFolder(Path(given).resolve())
    runs = every(runs_dir)
    if given is None and runs:
        return next((folder for folder in runs if folder.has_begun()), runs[0])
    if given is None:
        raise UsageError(
            f"no run in {clean(str(runs_dir))}",
            "start one with `fbmon run quickstart`, or name the folder with --runs-dir",
        )
    # A whole name comes first: the second run of a second is called as the first one is, with -2 behind it.
    for folder in sorted(runs, key=lambda run: run.name != given):
        if folder.name.startswith(given):
            return folder
    raise unknown(given, runs, runs_dir)


def unknown(given: str, runs: Iterable[RunFolder], runs_dir: Path) -> UsageError:
    """What is to be said of a name that none of the runs has: the nearest that there is."""
    called = dict.fromkeys(name for run in runs for name in (run.given_name, run.name))
    near = difflib.get_close_matches(given, called, n=1)
    hint = f"did you mean {clean(near[0])}?" if near else "`fbmon runs` lists them"
    return UsageError(f"{clean(given)}: no such run in {clean(str(runs_dir))}", hint)


def of_job(runs_dir: Path, job: str, name: str, resolved: str) -> RunFolder | None:
    """The newest run of this name and recipe that an earlier start of the batch job `job` has begun."""
    for folder in every(runs_dir):
        meta = folder.read_meta()
        with suppress(OSError):
            is_of_job = meta is not None and meta.job == job and folder.given_name == name
            if is_of_job and folder.resolved.read_text("utf-8") == resolved:
                return folder
    return None


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that outlasts a power cut from now on: without it no checkpoint could be gone on from."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _make_new(runs_dir: Path, name: str) -> Path:
    for number in itertools.count(1):
        path = runs_dir / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            return path
    raise AssertionError


def is_run(path: Path) -> bool:
    """Whether a path is a run's folder, be it half made or half lost."""
    try:
        return (path / "meta.json").is_file() or (path / "journal.jsonl").is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _created(folder: RunFolder) -> tuple[float, str]:
    for path in (folder.meta, folder.resolved, folder.path):
        with suppress(OSError):
            return path.stat().st_mtime, folder.name
    return 0.0, folder.name


def _meta(name: str, now: datetime, recipe_file: Path, devices: str, data_dir: Path | None) -> Meta:
    return Meta(
        name=name,
        created=now.isoformat(timespec="seconds"),
        host=socket.gethostname(),
        user=as_utf8(user_name()),
        command=[as_utf8(argument) for argument in sys.argv],
        directory=written(Path.cwd()),
        recipe_file=written(recipe_file.resolve()),
        devices=devices,
        data_dir=written(data_dir.resolve()) if data_dir else None,
        versions={"fbmon": fbmon.__version__, "python": sys.version.split()[0]} | _installed("torch", "torchvision"),
        git=_git_state(),
    )


def user_name() -> str:
    """The login of whoever this process belongs to, or their number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return str(os.getuid())


def _installed(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _git_state() -> str:
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if commit and _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=2, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""
