"""Which modules the servers run in forks of themselves, and what a process must have in common with its server."""

import os
import re
import resource
import sys

# What a server has imported, all at the first request, in the state in which an import leaves it. The modules that are
# run are not among them: they are run as `__main__`.
IMPORTED = {
    "torch": (
        "torch",
        "torch._dynamo",
        "torch.distributed",
        "torchvision",
        "safetensors.torch",
        "fbmon.train.loop",
        "fbmon.train.ranks.process_group",
        "fbmon.analysis.worker.look",
        "fbmon.analysis.worker.again",
        "fbmon.process.emit",
        "fbmon.process.commands",
        "fbmon.recipe",
    ),
    "fbmon": (
        "fbmon.cli",
        "fbmon.cli.plain",
        "fbmon.cli.survey",
        "fbmon.process.rank_processes",
        "fbmon.process.launch",
        "fbmon.process.recorder",
        "fbmon.store.summary",
        "rich.progress",
        "rich.table",
    ),
}
_WITH_TORCH = re.compile(r"fbmon\.(process\.worker|analysis\.worker\..+|train\..+)|benchmarks\.gpu|tests\.forks\.echo")
_WITHOUT = re.compile(r"fbmon(\.process\.supervisor)?")
_SCRIPT = "rank.py"
_OF_A_JOB = {"RANK", "SLURM_PROCID"}
# Read while an interpreter starts, or while torch and numpy are imported.
_READ_ONCE = re.compile(
    "PYTHON(?!UNBUFFERED$|IOENCODING$).*|LANG|LC_.*|(FORCE|NO)_COLOR|_?TYPER_.*|.*TERMINAL.*|(LD|MALLOC|GLIBC|OMP|KMP|MKL|OPENBLAS|NPY|ATEN|ONEDNN|DNNL|TORCH|PYTORCH)_.*"
)
_LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK")
_RIGHTS = re.compile(r"^(?:Uid|Gid|Groups|NoNewPrivs|Seccomp|CapEff|CapBnd):.*$", re.MULTILINE)


def server_of(command: list[str]) -> str | None:
    """Return which server has a fork for a command with a bare interpreter: of `IMPORTED`, or none.

    A fork has no controlling terminal, so that a command in a terminal does its work itself.
    """
    if command[1:4] == ["-m", "fbmon", "run"] and not _OF_A_JOB.isdisjoint(os.environ):
        return "torch"  # a rank of a job trains in its own process
    if command[1:2] != ["-m"]:
        return "torch" if len(command) > 1 and os.path.basename(command[1]) == _SCRIPT else None
    if _WITH_TORCH.fullmatch(command[2]):
        return "torch"
    has_terminal = any(os.isatty(number) for number in range(3))
    return "fbmon" if _WITHOUT.fullmatch(command[2]) and not has_terminal else None


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
