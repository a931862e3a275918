"""The rank of this process, and how it finds the others: those of one supervisor, or of a job of another engine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fbmon.errors import UsageError
from fbmon.text import clean

_NO_ID = "none"  # what torchrun calls every job that was given no --rdzv-id
_STEP = 997  # ports between two steps of a job, so that they are not those of the next jobs


class Rank(msgspec.Struct, frozen=True):
    """Rank `index` of `size`; it meets the others at `store`, a file, or at `address`, host:port, or needs neither."""

    index: int = 0
    size: int = 1
    local_index: int = 0  # among those of this machine
    store: str = ""  # its path, as `written`
    address: str = ""
    engine: str = ""  # torchrun or srun; empty under a supervisor
    job: str = ""  # what the ranks of this job call it, and those of no other
    attempt: str = "0"  # at this job: torchrun keeps the store of the one before
    listener: int | None = None  # descriptor at which the first rank of a supervisor listens at `address`


@dataclass(frozen=True)
class Job:
    """The batch job that a run belongs to, and how many times it was started again; the name is empty outside one."""

    name: str = ""
    restarts: int = 0

    @property
    def is_restarted(self) -> bool:
        return bool(self.name) and self.restarts > 0


def rank_in_job(environment: Mapping[str, str]) -> Rank | None:
    """Return this process's rank in a job of torchrun or srun, None outside; raises UsageError for half of one."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        address = f"{environment.get('MASTER_ADDR', '127.0.0.1')}:{environment.get('MASTER_PORT', '29500')}"
        job, attempt = (environment.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT"))
        job = "" if job == _NO_ID else job
        rank = _rank(environment, "torchrun", ("RANK", "WORLD_SIZE", "LOCAL_RANK"), address)
        return msgspec.structs.replace(rank, job=f"torchrun {job}".strip(), attempt=attempt or "0")
    # A batch script has SLURM_NTASKS and SLURM_PROCID too; only srun's own tasks have the number of those of the step.
    if environment.get("SLURM_STEP_NUM_TASKS", "1") != "1" and "SLURM_PROCID" in environment:
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        step = f"{environment.get('SLURM_JOB_ID', '')}.{environment.get('SLURM_STEP_ID', '0')}"
        rank = _rank(environment, "srun", names, _slurm_address(environment))
        return msgspec.structs.replace(rank, job=f"slurm {step}", attempt=environment.get("SLURM_RESTART_COUNT") or "0")
    return None


def job_of(environment: Mapping[str, str]) -> Job:
    """The job of Slurm or torchrun; a requeued job and a restarted group keep their name."""
    slurm, elastic = environment.get("SLURM_JOB_ID", ""), _elastic_id(environment)
    counts = [environment.get(name, "") for name in ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")]
    restarts = sum(int(count) for count in counts if re.fullmatch(r"[0-9]{1,9}", count))
    if slurm:
        return Job(f"slurm {slurm}", restarts)
    return Job(f"torchrun {elastic}", restarts) if elastic else Job()


def _elastic_id(environment: Mapping[str, str]) -> str:
    """Return the id of a job of torchrun; of one without the folder that its agent, as long as it lives, logs into."""
    given = environment.get("TORCHELASTIC_RUN_ID", "")
    if given != _NO_ID:
        return given
    parts = Path(environment.get("TORCHELASTIC_ERROR_FILE", "")).parts  # .../none_x7k2/attempt_0/0/error.json
    return parts[-4] if len(parts) > 4 else ""


def first_host(nodes: str) -> str:
    """The first host of a list as Slurm writes it: a, a,b, a[01-04,07], a[1-2]b."""
    match = re.fullmatch(r"([^,\[\]]+)(?:\[(\d+)[^\]]*\]([^,\[\]]*))?(?:,.*)?", nodes)
    if not match:
        raise UsageError(f"SLURM_STEP_NODELIST = {clean(nodes)}: not a list of hosts", "set MASTER_ADDR to the first")
    return "".join(part for part in match.groups() if part)


def _slurm_address(environment: Mapping[str, str]) -> str:
    host = environment.get("MASTER_ADDR") or first_host(environment.get("SLURM_STEP_NODELIST", "127.0.0.1"))
    # One port a step, above those that systems hand out by themselves. Ranks notice where two have the same.
    job, step = (_number(environment, name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    return f"{host}:{environment.get('MASTER_PORT') or 61_000 + (job + _STEP * step) % 4_000}"


def _number(environment: Mapping[str, str], name: str) -> int:
    given = environment.get(name, "")
    return int(given) if re.fullmatch("[0-9]{1,18}", given) else 0


def _rank(environment: Mapping[str, str], engine: str, names: tuple[str, str, str], address: str) -> Rank:
    try:
        index, size, local_index = (int(environment.get(name, "0")) for name in names)
    except ValueError:
        raise UsageError(f"{', '.join(names)} must be whole numbers, as {engine} sets them") from None
    if not 0 <= index < size:
        raise UsageError(f"{names[0]} is {index} and {names[1]} {size}: no such rank")
    return Rank(index, size, local_index, "", address, engine)
