"""The rows of the matrix: what the suite is run with, and in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

STRANGER = 54321  # a user who is in no list of users


@dataclass(frozen=True)
class Packages:
    """A Python, and which releases are wanted beside what pyproject.toml allows; the newest of all others."""

    name: str
    python: str
    pins: tuple[str, ...] = ()
    lowest: bool = False  # of each package the lowest release that pyproject.toml allows


NEWEST = Packages("newest", "3.11")
LOWEST = Packages("lowest", "3.12", lowest=True)
TORCH_2_11 = Packages("torch-2.11", "3.13", ("torch==2.11.*", "torchvision==0.26.*"))
TORCH_2_13 = Packages("torch-2.13", "3.11", ("torch==2.13.*", "torchvision==0.28.*"))


@dataclass(frozen=True)
class Row:
    """An environment of the suite. A variable without a value is not set."""

    name: str
    about: str
    packages: Packages = NEWEST
    is_typed: bool = False  # mypy runs too
    variables: Mapping[str, str | None] = field(default_factory=dict)
    cores: int | None = None  # all that there are
    busy_loops: int = 0
    hangs_up: bool = False  # the tests have no terminal, no standard input, and SIGHUP is ignored, as under nohup
    user: int | None = None
    umask: int = 0o022
    files: int | None = None  # that a process may have open
    temporary: str = "tmp"  # the name of the folder for temporary files
    plain_numpy: bool = False  # without any instruction that NumPy chooses at run time


PLAIN_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
NO_LANGUAGE: dict[str, str | None] = {
    "TERM": None,
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
HOSTILE: dict[str, str | None] = {
    # A home that is not there, a proxy that does not answer, a day that has begun 14 hours ago.
    "HOME": "/nonexistent",
    "XDG_CACHE_HOME": "/nonexistent/cache",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "TZ": "Pacific/Kiritimati",
    # Python strict with warnings, and without its compiled files.
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONWARNINGS": "error",
    # A terminal that contradicts itself.
    "TERM": "dumb",
    "COLUMNS": "1",
    "LINES": "1",
    "NO_COLOR": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR": "0",
    "CLICOLOR_FORCE": "1",
    "CI": "true",
    # A job of Slurm and one of torchrun, and settings of fbmon's own.
    "SLURM_JOB_ID": "1",
    "SLURM_PROCID": "1",
    "SLURM_NTASKS": "2",
    "SLURM_LOCALID": "1",
    "SLURM_RESTART_COUNT": "3",
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "192.0.2.1",
    "MASTER_PORT": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "FBMON_RUNS": "/nonexistent/runs",
    "FBMON_ENGINE": "warp",
}

ROWS = (
    Row("newest", "Python 3.11, the newest release of everything", is_typed=True),
    Row("lowest", "Python 3.12, the lowest release of everything that is allowed", LOWEST, is_typed=True),
    Row("torch-2.11", "Python 3.13, torch 2.11", TORCH_2_11, is_typed=True),
    Row("torch-2.13", "Python 3.11, torch 2.13", TORCH_2_13, is_typed=True),
    Row(
        "processor",
        "a plain processor: torch and NumPy without AVX2 and AVX-512, oneDNN and MKL with AVX2 at most",
        variables=PLAIN_PROCESSOR,
        plain_numpy=True,
    ),
    Row("one-core", "one core", cores=1),
    Row("busy", "two cores, each with a busy loop beside the tests", cores=2, busy_loops=2),
    Row(
        "nohup",
        "under nohup: no terminal, no standard input, SIGHUP ignored; LANG=C, no UTF-8 mode, no TERM",
        variables=NO_LANGUAGE,
        hangs_up=True,
    ),
    Row(
        "user",
        "another user, without a name or a home, who may only read the checkout; umask 077; "
        "a long temporary folder with spaces and umlauts",
        variables={"HOME": None, "USER": None, "LOGNAME": None},
        user=STRANGER,
        umask=0o077,
        temporary="a folder with spaces and Ümläuten" + " that is long" * 6,
    ),
    Row(
        "hostile",
        "umask 000, 256 open files, no home, a dead proxy, another day, COLUMNS=1, a dumb terminal that insists on "
        "colours, every warning an error, CI, the variables of Slurm, of torchrun and of fbmon",
        variables=HOSTILE,
        umask=0,
        files=256,
    ),
)


def named(names: str | None) -> list[Row]:
    """Return the rows of a list of names with commas between, in the matrix's order; all without one."""
    if names is None:
        return list(ROWS)
    wanted = names.split(",")
    if unknown := set(wanted) - {row.name for row in ROWS}:
        raise SystemExit(f"no row {', '.join(sorted(unknown))}: there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if row.name in wanted]


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
