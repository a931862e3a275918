"""The folder of runs: whether it is writable, has space and supports locks, and how fast a checkpoint gets there."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from fbmon.doctor.finding import Finding, judge
from fbmon.host.disk import replace, sync, sync_folder
from fbmon.host.locks import refusal
from fbmon.host.scratch import has_temporary_folder
from fbmon.text import clean, clean_path

_LEAST_FREE = 2 * 2**30  # bytes; the kept checkpoints of a ResNet-18 take 0.4 GB, those of a ResNet-152 2 GB
_CHUNK = 4 * 2**20
_CHUNKS = 8
_MOST_SECONDS = 2.0
_SLOW = 20e6  # bytes a second; a checkpoint of a ResNet-18 then takes 5 s
_FAR = ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs")


def examine_temporary_folder() -> Finding:
    """Judge whether there is a folder for temporary files, of which torch makes some while it loads."""
    is_there = has_temporary_folder()
    folder = (
        tempfile.gettempdir() if is_there else "none that is usable; /dev/shm or a run's own folder is used instead"
    )
    return judge("temporary", clean(folder, 400), "set TMPDIR to a writable folder", is_well=is_there)


def examine_storage(runs_dir: Path) -> Iterator[Finding]:
    """Judge the folder of runs by temporary files beside them, which are taken away; the folder itself is not made."""
    folder = next(path for path in (runs_dir.absolute(), *runs_dir.absolute().parents) if path.exists())
    name, shown = "runs folder", clean_path(runs_dir.absolute())
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".doctor-") as file:
            yield _permissions(name, shown, folder)
            yield _space(folder)
            yield _speed(file.fileno(), folder)
            yield _saving(folder)
            yield _lock(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        yield Finding(name, "failure", f"cannot write to {shown}: {reason}", "choose another with --runs-dir")


def _permissions(name: str, shown: str, folder: Path) -> Finding:
    mode = folder.stat().st_mode
    is_private = not mode & (stat.S_IWGRP | stat.S_IWOTH) or bool(mode & stat.S_ISVTX)
    description = shown if is_private else f"{shown}: other users can write to it"
    return judge(
        name,
        description,
        "run `chmod go-w` on it, or they can put their own runs in place of yours",
        is_well=is_private,
    )


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    advice = "free some space: on a full disk a run goes on, but saves nothing"
    return judge("disk space", f"{free / 1e9:,.1f} GB free", advice, is_well=free >= _LEAST_FREE)


def _speed(file: int, folder: Path) -> Finding:
    noise = os.urandom(_CHUNK)  # some file systems pack zeros
    began, written, syncs = time.perf_counter(), 0, []
    for _ in range(_CHUNKS):
        written += os.write(file, noise)
        before = time.perf_counter()
        sync(file)
        syncs.append(time.perf_counter() - before)
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    speed, typical = written / (time.perf_counter() - began), sorted(syncs)[len(syncs) // 2]
    latency = f"{1000 * typical:.1f} ms per sync of 4 MiB"
    figures = f"{speed / 1e6:,.0f} MB/s written and synced, {latency}, {_kind(folder)}"
    advice = (
        "choose a faster disk with --runs-dir; on this one, checkpoints are saved less often, "
        "so that they take at most a hundredth of the time"
    )
    return judge("disk speed", figures, advice, is_well=speed >= _SLOW)


def _saving(folder: Path) -> Finding:
    """Judge saving by what a checkpoint takes: a folder aside with a file in it, both synced, the folder renamed."""
    advice, deed = "choose another file system with --runs-dir", "creating a folder with a file"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as home:
        aside = Path(home) / "aside"
        try:
            aside.mkdir()
            with (aside / "state").open("wb") as file:
                is_synced = {"a file": sync(file.fileno()), "a folder": sync_folder(aside)}
            deed = "renaming a folder"
            aside.rename(aside.with_name("checkpoint"))
        except OSError as error:
            return Finding("saving", "failure", f"{deed}: {error.strerror}; no state can be saved", advice)
    refused = " and of ".join(what for what, is_done in is_synced.items() if not is_done)
    if not refused:
        return Finding("saving", "ok", "a saved state is complete, and survives a power cut")
    limits = f"fsync of {refused} is refused: what is saved survives a kill, but perhaps not a power cut"
    return Finding("saving", "warning", limits, advice)


def _lock(folder: Path) -> Finding:
    """Judge locks: two descriptors of a file must not both have one; without, a note must be replaced and touched."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        if not (reason := refusal(Path(file.name))):
            return Finding("locks", "ok", "file locks work")
        try:
            replace(Path(file.name), b"a note")
            os.utime(file.name)
        except OSError as error:
            advice = "choose another file system with --runs-dir: two trainings might write to the same run"
            return Finding("locks", "failure", f"{reason}; nor can a file be replaced: {error.strerror}", advice)
    advice = (
        "a note in its folder, touched once a second, guards each run instead; if one was killed on another host, "
        "`fbmon resume` cannot tell that it has ended, and needs --force. A file system with flock is better"
    )
    return Finding("locks", "warning", reason, advice)


def _kind(folder: Path) -> str:
    """Return the kind of file system; on one that is shared, screens on other machines see a run's news late."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    kind = next((mounts[path] for path in (folder.resolve(), *folder.resolve().parents) if path in mounts), "unknown")
    return f"{kind}, shared" if kind in _FAR else kind
