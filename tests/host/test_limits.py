"""What a process may use where a container, a batch system or systemd allows less than the machine has."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fbmon.host.limits import Limit, core_quota, cores, cpu_seconds, memory, memory_limit
from fbmon.process.telemetry import Host
from tests.shell import DEADLINE

SECOND = "41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
NO_LIMIT = "9223372036854771712\n"


def grouped(root: Path, path: str, mounts: str = SECOND, folder: str = "") -> Path:
    """Make a system in whose group `path` this process is; its folder, or `folder` where the group is seen there."""
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text(path if ":" in path else f"0::{path}\n")
    (root / "proc/self/mountinfo").write_text(f"22 1 8:1 / / rw - ext4 /dev/sda rw\n{mounts}")
    group = root / (folder or f"sys/fs/cgroup{path}")
    group.mkdir(parents=True, exist_ok=True)
    return group


def test_the_tightest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    step = grouped(tmp_path, "/system.slice/slurmstepd.scope/job_7/step_0/user/task_0")
    job = step.parents[2]
    (step / "cpu.max").write_text("max 100000\n")
    (job / "cpu.max").write_text("150000 100000\n")
    (job.parent / "cpu.max").write_text("6400000 100000\n")
    (step / "memory.max").write_text(f"{8 << 30}\n")
    (job / "memory.max").write_text(f"{1 << 28}\n")
    (job.parents[1] / "memory.max").write_text("max\n")
    (job / "memory.current").write_text(f"{200 << 20}\n")
    (job / "memory.stat").write_text(f"anon 5\ninactive_file {50 << 20}\n")

    assert core_quota(tmp_path) == Limit(1.5, job)
    assert cores(tmp_path) == min(2, len(os.sched_getaffinity(0)))
    assert memory_limit(tmp_path) == Limit(1 << 28, job)
    used = memory(tmp_path)
    assert (used.total, used.used, used.is_limited) == (1 << 28, 150 << 20, True)


def test_the_first_version_has_a_hierarchy_for_each_controller(tmp_path: Path) -> None:
    paths = "9:name=systemd:/else\n4:memory:/slurm/job_7\n2:cpu,cpuacct:/slurm/job_7/step_0\n0::/\n"
    mine = grouped(tmp_path, paths, CPU + MEMORY, "sys/fs/cgroup/cpu,cpuacct/slurm/job_7/step_0")
    (mine / "cpu.cfs_quota_us").write_text("-1\n")
    (mine / "cpu.cfs_period_us").write_text("100000\n")
    (mine.parent / "cpu.cfs_quota_us").write_text("50000\n")
    (mine.parent / "cpu.cfs_period_us").write_text("100000\n")
    (mine.parent / "cpuacct.usage").write_text("2500000000\n")
    job = tmp_path / "sys/fs/cgroup/memory/slurm/job_7"
    job.mkdir(parents=True)
    (job / "memory.limit_in_bytes").write_text(NO_LIMIT)
    assert memory_limit(tmp_path) is None
    (job.parent / "memory.limit_in_bytes").write_text(f"{1 << 28}\n")

    quota = core_quota(tmp_path)

    assert quota == Limit(0.5, mine.parent)
    assert cores(tmp_path) == 1
    assert cpu_seconds(quota.group) == 2.5
    assert memory_limit(tmp_path) == Limit(1 << 28, job.parent)
    assert not memory(tmp_path).is_limited, "nobody says how much of it is used"


@pytest.mark.parametrize(
    ("path", "top"),
    [
        ("/", "/"),  # a namespace of its own
        ("/../../elsewhere", "/"),  # put into the group from outside of its namespace
        ("/docker/abc", "/docker/abc"),  # no namespace, but a mount of its own
        ("/docker/abc", "/docker/other"),  # a mount that says nothing of it
        ("/gone", "/"),
    ],
)
def test_a_container_sees_its_limit_at_the_top_of_what_it_sees(path: str, top: str, tmp_path: Path) -> None:
    seen = grouped(tmp_path, path, SECOND.replace(" / /", f" {top} /"), "sys/fs/cgroup")
    (seen / "cpu.max").write_text("50000 100000\n")
    outside = tmp_path / "sys/fs/elsewhere"
    outside.mkdir()
    (outside / "cpu.max").write_text("1000 100000\n")
    assert core_quota(tmp_path) == Limit(0.5, seen)


@pytest.mark.parametrize("said", ["", "max\n", "much 100000\n", "0 100000\n", "5 0\n", "\x00\xff"])
def test_what_cannot_be_read_limits_nothing(said: str, tmp_path: Path) -> None:
    assert (core_quota(tmp_path), memory_limit(tmp_path)) == (None, None), "a system without control groups"
    group = grouped(tmp_path, "/a b", SECOND.replace("/cgroup ", "/c\\040groups "), "sys/fs/c groups/a b")
    for name in ("cpu.max", "memory.max"):
        (group / name).write_text(said)
    assert (core_quota(tmp_path), memory_limit(tmp_path)) == (None, None)
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
    (group / "cpu.max").write_text("10000 100000\n")
    assert core_quota(tmp_path) == Limit(0.1, group), "and it was the right folder"


def test_the_host_of_a_container_is_what_it_may_use_and_is_named_so(tmp_path: Path) -> None:
    group = grouped(tmp_path, "/docker/abc")
    (group / "cpu.max").write_text("25000 100000\n")
    (group / "cpu.stat").write_text("usage_usec 1000000\n")
    host = Host(tmp_path)
    (group / "cpu.stat").write_text("usage_usec 999000000000\n")
    sample = host.sample()
    assert sample.device == f"cpu (0.25 of {os.cpu_count()} cores)"
    assert sample.utilization == 100.0, "all of the quarter of a core"
    assert host.sample().utilization == 0.0
    (group / "cpu.stat").unlink()
    assert host.sample().utilization is None, "unknown, not nought"


ASK = """
from fbmon.host.limits import cores, memory
print(cores(), memory().total >> 20)
"""


@pytest.fixture
def real_groups() -> Iterator[list[Path]]:
    """Real groups with half a core and 512 MiB, each with a group in it; of whichever version this system has."""
    made: list[Path] = []
    try:
        for base, files in (
            ("cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
            ("memory", {"memory.limit_in_bytes": str(512 << 20)}),
            ("", {"cpu.max": "50000 100000", "memory.max": str(512 << 20)}),
        ):
            top = Path("/sys/fs/cgroup", base)
            outer = top / f"fbmon-test-{os.getpid()}"
            if any((top / next(iter(files))).exists() for top in (top, *top.glob("*.slice"))):
                outer.mkdir()
                made.append(outer)
                for name, value in files.items():
                    (outer / name).write_text(value)
                (outer / "inner").mkdir()
                made.append(outer / "inner")
    except OSError as error:
        for path in reversed(made):
            path.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield [path for path in made if path.name == "inner"]
    for path in reversed(made):
        path.rmdir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may make control groups")
def test_in_a_real_control_group_half_a_core_is_one_thread(real_groups: list[Path]) -> None:
    if not real_groups:
        pytest.skip("no control groups here")

    def enter() -> None:
        for group in real_groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    said = subprocess.run(
        [sys.executable, "-c", ASK], preexec_fn=enter, capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout
    assert said.split() == ["1", "512"]
