"""A new run's folder: never an existing one, and on the disk before anything starts."""

import getpass
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

import fbmon
from fbmon.errors import HeldError, UsageError
from fbmon.host.disk import replace, sync_folder, write_new
from fbmon.host.paths import written
from fbmon.run.code import digests, keep
from fbmon.run.folder import RunFolder
from fbmon.run.life import Holder, Life
from fbmon.run.meta import Meta
from fbmon.run.origin import Beginning
from fbmon.run.place import refuse_file
from fbmon.text import NAME_PATTERN, as_utf8, clean, clean_path


def create(
    runs_dir: Path,
    name: str,
    recipe_file: Path,
    resolved: str,
    devices: str,
    data_dir: Path | None,
    job: str = "",
    stall_seconds: float | None = None,
    code: Mapping[str, bytes] | None = None,
    beginning: Beginning | None = None,
) -> RunFolder:
    """Make a new folder NAME-DATE-TIME in `runs_dir` with the recipe as given, the resolved one, code and meta.json.

    If the run begins with the weights of another, they are kept in it too. Never touches an existing run. Raises
    UsageError for a name that is none and where nothing can be written.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"--name {clean(name)}: must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit"
        )
    refuse_file(runs_dir)
    given = recipe_file.read_bytes()
    now = datetime.now(UTC)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        folder = RunFolder(_make_new(runs_dir, f"{name}-{now:%Y%m%d-%H%M%S}"))
        with unmade_on_failure(folder):
            folder.inbox.mkdir(mode=0o700)
            meta = _meta(folder.name, now, recipe_file, devices, data_dir)
            meta = msgspec.structs.replace(meta, job=job, stall_seconds=stall_seconds, code=digests(code or {}))
            if beginning:
                meta = msgspec.structs.replace(meta, origin=beginning.origin)
                write_new(folder.origin, beginning.content)
            # On the disk from now on: without them no checkpoint could be gone on from.
            keep(folder.path, code or {})
            write_new(folder.recipe, given)
            write_new(folder.resolved, resolved.encode())
            write_new(folder.meta, msgspec.json.format(msgspec.json.encode(meta)) + b"\n")
        with suppress(OSError):  # all is there, whatever this says
            sync_folder(folder.path)
            sync_folder(runs_dir)
    except OSError as error:
        raise UsageError(
            f"{clean_path(runs_dir)}: no run can be created here: {error.strerror}", "try --runs-dir"
        ) from None
    return folder


def create_tracked(runs_dir: Path, name: str, settings: str) -> RunFolder:
    """Make the folder of a run that another program trains, with its settings as TOML."""
    refuse_file(runs_dir)
    now = datetime.now(UTC)
    runs_dir.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(_make_new(runs_dir, f"{name}-{now:%Y%m%d-%H%M%S}"))
    with unmade_on_failure(folder):
        folder.inbox.mkdir(mode=0o700)
        program = Path(sys.argv[0] if sys.argv and sys.argv[0] else sys.executable)
        meta = msgspec.structs.replace(_meta(folder.name, now, program, "auto", None), is_tracked=True)
        write_new(folder.resolved, settings.encode())
        write_new(folder.meta, msgspec.json.format(msgspec.json.encode(meta)) + b"\n")
    return folder


def renew(folder: RunFolder, name: str, data_dir: Path) -> None:
    """Write meta.json anew for a run that began under this name, to go on with all devices."""
    meta = _meta(name, datetime.now(UTC), folder.recipe, "auto", data_dir)
    replace(folder.meta, msgspec.json.format(msgspec.json.encode(meta)) + b"\n")


@contextmanager
def unmade_on_failure(folder: RunFolder) -> Iterator[None]:
    """Take the folder of a run away that fails to start for the first time: there is nothing in it to go on with.

    Not where somebody else has started it meanwhile, as a `fbmon resume` that takes the newest run.
    """
    is_new = not folder.was_started()
    try:
        yield
    except BaseException as error:
        if is_new and not isinstance(error, HeldError) and not _is_somebody_elses(folder):
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _is_somebody_elses(folder: RunFolder) -> bool:
    seen = folder.look()
    own = Holder.of(os.getpid(), folder.path)
    # The lock alone says nothing: this process may have it.
    return seen.life is Life.RUNNING and seen.is_sure and seen.holder is not None and not seen.holder.is_same(own)


def _make_new(runs_dir: Path, name: str) -> Path:
    for number in itertools.count(1):
        path = runs_dir / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            return path
    raise AssertionError


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
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _git_state() -> str:
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if commit and _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=2, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""
