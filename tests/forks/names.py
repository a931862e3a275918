"""Which modules the server runs in a fork of itself, and what a process must have in common with it."""

import os
import re
import resource
import sys

_MODULES = re.compile(r"fbmon\.(worker|analyze\..+|train\..+)|benchmarks\.gpu|tests\.forks\.echo")
_SCRIPT = "rank.py"
_OF_A_JOB = {"RANK", "SLURM_PROCID"}
# Read while an interpreter starts, or while torch and numpy are imported.
_READ_ONCE = re.compile(
    "PYTHON(?!UNBUFFERED$|IOENCODING$).*|LANG|LC_.*|(LD|MALLOC|GLIBC|OMP|KMP|MKL|OPENBLAS|NPY|ATEN|ONEDNN|DNNL|TORCH|PYTORCH)_.*"
)
_LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK")
_RIGHTS = re.compile(r"^(?:Uid|Gid|Groups|NoNewPrivs|Seccomp|CapEff|CapBnd):.*$", re.MULTILINE)


def is_served(command: list[str]) -> bool:
    """Whether a command with a bare interpreter runs a module of these, a rank of a job, or a script of this name."""
    if command[1:4] == ["-m", "fbmon", "run"]:
        return not _OF_A_JOB.isdisjoint(os.environ)
    if command[1:2] == ["-m"]:
        return bool(_MODULES.fullmatch(command[2]))
    return os.path.basename(command[1]) == _SCRIPT if len(command) > 1 else False


def inheritance() -> list[object]:
    """What a process has from the one that started it, and would not have as a fork of another."""
    with open("/proc/self/status") as status, open("/proc/self/cgroup") as groups:
        rights, group = _RIGHTS.findall(status.read()), groups.read()
    return [
        sys.executable,
        sorted((name, value) for name, value in os.environ.items() if _READ_ONCE.fullmatch(name)),
        [resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in _LIMITS],
        rights,
        group,
        [os.readlink(f"/proc/self/ns/{name}") for name in sorted(os.listdir("/proc/self/ns"))],
        os.readlink("/proc/self/root"),
        sorted(os.sched_getaffinity(0)),
        os.getpriority(os.PRIO_PROCESS, 0),
    ]


def write_command_line(arguments: list[str]) -> None:
    """Let `ps` and psutil see these arguments; slashes before the first fill what room there is."""
    with open("/proc/self/stat", "rb") as file:
        start, end = map(int, file.read().rpartition(b")")[2].split()[45:47])
    line = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
    if len(line) > end - start:
        raise OSError("the command line is longer than the one that this process was started with")
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(line.rjust(end - start, b"/"))
