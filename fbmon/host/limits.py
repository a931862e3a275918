"""Limits of what this process may use: cores by affinity and quota, memory by the limits of its control groups.

Containers, batch systems and systemd set such limits on groups that lie in one another, in version 1 of control groups,
in version 2, or in both. Of all groups from a process's own up to the highest that it can see the tightest holds.
"""

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_UNLIMITED = 1 << 60  # bytes: what version 1 has where nothing is limited is larger, and no machine's memory


@dataclass(frozen=True)
class Limit:
    """The amount that a control group may use, and the folder of that group."""

    amount: float  # cores, or bytes
    group: Path


@dataclass(frozen=True)
class Memory:
    """Bytes that this process and all that shares its limit may use, and those that are in use."""

    total: int
    used: int
    is_limited: bool  # to less than the machine has

    @property
    def free(self) -> int:
        return max(0, self.total - self.used)


def cores(root: Path = ROOT) -> int:
    """Return how many threads this process can keep busy: its cores, or fewer by the quota of a control group."""
    quota = core_quota(root)
    return min(own_cores(), math.ceil(quota.amount)) if quota else own_cores()


def own_cores() -> int:
    """Return the number of cores on which this process may be put, whatever its quota."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def core_quota(root: Path = ROOT) -> Limit | None:
    """Return the least number of cores, maybe a part of one, that a group may keep busy; None where that is all."""
    return _tightest(_groups(root, "cpu"), _read_quota)


def memory_limit(root: Path = ROOT) -> Limit | None:
    """Return the least number of bytes that a group may use; None where that is all."""
    return _tightest(_groups(root, "memory"), _read_memory_limit)


def memory(root: Path = ROOT) -> Memory:
    """Return the memory of the machine, or of the group that may use less of it."""
    import psutil  # not for those who only count cores

    machine, limit = psutil.virtual_memory(), memory_limit(root)
    used = _used_memory(limit.group) if limit else None
    if limit and used is not None and limit.amount < machine.total:
        return Memory(int(limit.amount), used, is_limited=True)
    return Memory(machine.total, machine.total - machine.available, is_limited=False)


def cpu_seconds(group: Path) -> float | None:
    """Return the seconds of computing that a group has had on all cores together; None where nobody counts them.

    The first version may count them in a hierarchy of its own: there they are summed over the group's processes.
    """
    with suppress(OSError, ValueError, KeyError):
        return _numbers(group / "cpu.stat")["usage_usec"] / 1e6
    with suppress(OSError, ValueError):
        return int((group / "cpuacct.usage").read_text()) / 1e9
    return _seconds_of_processes(group)


def _seconds_of_processes(group: Path) -> float | None:
    import psutil

    numbers: set[int] = set()
    with suppress(OSError, ValueError):
        for file in group.rglob("cgroup.procs"):
            numbers.update(map(int, file.read_text().split()))
    seconds = 0.0
    for number in numbers:
        with suppress(psutil.Error):  # it has just ended
            times = psutil.Process(number).cpu_times()
            seconds += times.user + times.system
    return seconds if numbers else None


def _tightest(groups: Iterator[Path], read: Callable[[Path], float | None]) -> Limit | None:
    limits = [Limit(amount, group) for group in groups if (amount := read(group)) is not None]
    return min(limits, key=lambda limit: limit.amount, default=None)


def _read_quota(group: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return _share(quota, period)
    with suppress(OSError, ValueError):
        return _share((group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text())
    return None


def _share(quota: str, period: str) -> float | None:
    """Return the cores of a quota; without one version 2 says "max", version 1 says -1."""
    return None if quota.strip() == "max" or int(quota) <= 0 or int(period) <= 0 else int(quota) / int(period)


def _read_memory_limit(group: Path) -> float | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" is no number
            limit = int((group / name).read_text())
            return limit if limit < _UNLIMITED else None
    return None


def _used_memory(group: Path) -> int | None:
    """Return what is in use, without pages of files that nobody needs at the moment: the kernel frees those at once."""
    for name, unneeded in (("memory.current", "inactive_file"), ("memory.usage_in_bytes", "total_inactive_file")):
        with suppress(OSError, ValueError):
            used, pages = int((group / name).read_text()), 0
            with suppress(OSError, ValueError):
                pages = _numbers(group / "memory.stat").get(unneeded, 0)
            return max(0, used - pages)
    return None


def _numbers(file: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {name: int(number) for name, number in lines}


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in, in each hierarchy that may have a limit, its own first."""
    paths = _paths(root)
    for mount in _mounts(root):
        path = paths.get(controller if mount.is_first_version else "")
        if path is not None and (not mount.is_first_version or controller in mount.options):
            yield from _way_up(root, mount, path)


@dataclass(frozen=True)
class _Mount:
    """A folder in which a hierarchy of groups can be seen, from the group `top` on."""

    point: str
    top: str
    is_first_version: bool
    options: list[str]


def _paths(root: Path) -> dict[str, str]:
    """The group of this process by controller of version 1; that of version 2 under an empty name."""
    paths: dict[str, str] = {}
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(errors="surrogateescape").splitlines():
            _, controllers, path = line.split(":", 2)
            paths |= dict.fromkeys(controllers.split(","), path)
    return paths


def _mounts(root: Path) -> Iterator[_Mount]:
    with suppress(OSError):
        for line in (root / "proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            if kind in ("cgroup", "cgroup2"):
                _, _, _, top, point, *_ = map(_unescaped, before.split(" "))
                yield _Mount(point, top, kind == "cgroup", options.split(","))


def _unescaped(text: str) -> str:
    """A path of mountinfo, in which spaces are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _way_up(root: Path, mount: _Mount, path: str) -> Iterator[Path]:
    """The folder of a group and of all those around it; of a group that cannot be seen from here, the highest one."""
    top = root / mount.point.lstrip("/")
    inside = path.removeprefix(mount.top.rstrip("/")) if f"{path}/".startswith(f"{mount.top.rstrip('/')}/") else ""
    group = top / inside.lstrip("/")
    if ".." in group.parts or not group.is_dir():
        group = top
    while group != top:
        yield group
        group = group.parent
    yield top
