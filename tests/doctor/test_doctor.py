"""`fbmon doctor`: every fault of a machine is named with its cure, and a good machine is left in peace."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fbmon.cli.output import warn_of_logout
from fbmon.doctor.finding import Finding
from fbmon.doctor.gpus import examine_gpus
from fbmon.doctor.login import examine_login
from fbmon.doctor.memory import examine_memory, examine_shared_memory
from fbmon.doctor.processor import examine_processor
from fbmon.doctor.storage import examine_storage
from fbmon.doctor.torch import Gpu, TorchAnswer
from tests.host.test_limits import grouped
from tests.process.test_telemetry import UUIDS, Nvml
from tests.shell import DEADLINE, Fbmon
from tests.terminal import Terminal

SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"
SERVICE = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-u1.scope\n"
CURE = "run `loginctl enable-linger` once, then start with `systemd-run --user --scope fbmon run ...`"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system on which systemd runs and its own tools do not answer."""
    place = tmp_path / "root"
    for folder in ("run/systemd/system", "etc/systemd/logind.conf.d", "usr/lib/systemd", "var/lib/systemd/linger"):
        (place / folder).mkdir(parents=True)
    (place / "proc/self").mkdir(parents=True)
    (place / "proc/self/cgroup").write_text(SESSION)
    monkeypatch.setenv("PATH", str(tmp_path))
    return place


def logout(root: Path, user: str = "ada") -> tuple[str, str]:
    found = examine_login(root, user)
    assert found.advice == (CURE if found.verdict == "warning" else "")
    return found.verdict, found.found


def kills(root: Path, value: str = "yes", more: str = "") -> None:
    (root / "etc/systemd/logind.conf").write_text(f"[Login]\nKillUserProcesses={value}\n{more}")


def ends(unit: str, linger: str = "off") -> tuple[str, str]:
    return "warning", f"a training started here ends at logout (KillUserProcesses=yes, {unit}, linger {linger})"


GOES_ON = ("ok", "a training goes on after logout (KillUserProcesses=no)")


def test_a_login_whose_processes_are_killed_at_its_end_is_named_with_the_cure(root: Path) -> None:
    kills(root)
    assert logout(root) == ends("session-3.scope")
    (root / "var/lib/systemd/linger/ada").touch()
    assert logout(root) == ends("session-3.scope", linger="on")  # the session's own scope is killed all the same
    (root / "proc/self/cgroup").write_text(SERVICE)
    assert logout(root) == ("ok", "a training goes on after logout: the user lingers")
    (root / "var/lib/systemd/linger/ada").unlink()
    assert logout(root) == ends("user@1000.service")


def test_whom_logind_spares_is_not_warned(root: Path) -> None:
    kills(root)
    assert logout(root, "root") == GOES_ON
    kills(root, more="KillExcludeUsers=ada bob\n")
    assert logout(root) == GOES_ON
    kills(root, more="KillOnlyUsers=bob\n")
    assert logout(root) == GOES_ON


def test_the_last_of_loginds_files_wins(root: Path) -> None:
    kills(root)
    part = root / "etc/systemd/logind.conf.d/50-site.conf"
    part.write_text("[Login]\nKillUserProcesses=no\n")
    assert logout(root) == GOES_ON
    (root / "run/systemd/logind.conf.d").mkdir()
    (root / "run/systemd/logind.conf.d/60-later.conf").write_text("[Login]\nKillUserProcesses=on\n")
    assert logout(root) == ends("session-3.scope")


def test_where_nothing_is_said_a_comment_shows_what_the_distribution_has_chosen(root: Path) -> None:
    assert logout(root) == ends("session-3.scope")
    (root / "etc/systemd/logind.conf").write_text("[Login]\n#KillUserProcesses=no\n#KillOnlyUsers=\n")
    assert logout(root) == GOES_ON
    (root / "etc/systemd/logind.conf").write_bytes(b"\xff[Login\n")
    assert logout(root) == ends("session-3.scope")


def test_what_logind_says_itself_counts_more_than_its_files(root: Path, tmp_path: Path) -> None:
    kills(root, "no")
    answers = ['{"type":"b","data":true}', '{"type":"as","data":[]}', '{"type":"as","data":["root"]}']
    busctl = tmp_path / "busctl"
    busctl.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in answers))
    busctl.chmod(0o755)
    assert logout(root) == ends("session-3.scope")
    busctl.write_text("#!/bin/sh\necho 'Failed to connect to bus'\n")
    assert logout(root) == GOES_ON


def test_outside_a_login_nothing_ends_at_a_logout(root: Path) -> None:
    kills(root)
    nothing = ("ok", "no systemd login session: nothing ends processes at logout")
    (root / "proc/self/cgroup").write_text("0::/system.slice/slurmstepd.scope/job_7\n")
    assert logout(root) == nothing
    (root / "proc/self/cgroup").write_text(SESSION)
    (root / "run/systemd/system").rmdir()
    assert logout(root) == nothing


def test_more_threads_than_the_container_may_use_are_named(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    own = f"{cores} core{'s' if cores > 1 else ''}"
    assert examine_processor(tmp_path, {}) == Finding("processor", "ok", f"{own}; one thread per core")
    found = examine_processor(tmp_path, {"OMP_NUM_THREADS": "9999,4"})
    advice = f"`export OMP_NUM_THREADS={cores}`: more threads than cores wait for each other"
    assert found == Finding("processor", "warning", f"{own}; OMP_NUM_THREADS=9999", advice)
    group = grouped(tmp_path, "/docker/abc")
    (group / "cpu.max").write_text("50000 100000\n")
    assert examine_processor(tmp_path, {}).verdict == "ok", "no more threads are started than may run"
    found = examine_processor(tmp_path, {"OMP_NUM_THREADS": "2"})
    assert found.found == f"{own}, of which 0.5 can be used here; OMP_NUM_THREADS=2"
    assert found.advice.startswith("`export OMP_NUM_THREADS=1`")
    (group / "cpu.max").write_text("max 100000\n")
    assert examine_processor(tmp_path, {"OMP_NUM_THREADS": "1"}).verdict == "ok"


def test_the_memory_that_a_container_may_use_is_named(tmp_path: Path) -> None:
    group = grouped(tmp_path, "/docker/abc")
    (group / "memory.max").write_text(f"{2**29}\n")
    (group / "memory.current").write_text(f"{2**28}\n")
    advice = "a training that needs more will be killed: `fbmon plan` says how much a recipe needs"
    found = "0.5 GiB available here, 0.2 GiB free"
    assert examine_memory(tmp_path) == Finding("memory", "warning", found, advice)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
def test_the_shared_memory_of_a_container_is_too_small_for_several_gpus(tmp_path: Path) -> None:
    place = tmp_path / "dev/shm"
    advice = "several GPUs need 1 GiB: in Docker `--shm-size=1g`, else a tmpfs at /dev/shm; a single device needs none"
    found = examine_shared_memory(tmp_path)
    assert found == Finding("shared memory", "warning", "/dev/shm: No such file or directory", advice)
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no tmpfs may be mounted here")
    try:
        found = examine_shared_memory(tmp_path)
        assert found == Finding("shared memory", "warning", "64 MiB at /dev/shm", advice)
        (full,) = [one for one in examine_storage(place) if one.name == "disk space"]
        assert (full.verdict, full.found) == ("warning", "0.1 GB free")
        (place / "all").write_bytes(bytes(64 * 2**20))
        *_, last = examine_storage(place / "runs")
        assert last.verdict == "failure"
        assert last.found == f"cannot write to {place}/runs: No space left on device"
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_folder_that_is_good_is_left_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    found = {one.name: one for one in examine_storage(tmp_path / "some/runs")}
    assert list(found) == ["runs folder", "disk space", "disk speed", "saving", "locks"]
    assert found["runs folder"] == Finding("runs folder", "ok", f"{tmp_path}/some/runs")
    assert found["locks"] == Finding("locks", "ok", "file locks work")
    assert " MB/s written and synced, " in found["disk speed"].found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_to_which_others_may_write_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    found = next(examine_storage(tmp_path))
    assert (found.verdict, found.found) == ("warning", f"{tmp_path}: other users can write to it")
    tmp_path.chmod(0o777 | stat.S_ISVTX)
    assert next(examine_storage(tmp_path)).verdict == "ok"


def gpu(place: int, fault: str = "") -> Gpu:
    return Gpu("NVIDIA H200", UUIDS[place], 80 * 1024, fault)


def told(
    answer: TorchAnswer, environment: dict[str, str] | None = None, broken: tuple[str, ...] = ()
) -> list[tuple[str, str, str]]:
    found = examine_gpus(answer, environment or {}, Nvml(broken=set(broken)))
    return [(one.name, one.verdict, one.found) for one in found]


def test_a_machine_without_a_driver_says_that_it_trains_on_the_cpu() -> None:
    found = told(TorchAnswer("2.15"), broken=("nvmlInit",))
    assert found == [("GPUs", "ok", "none: training runs on the CPU (nvmlInit)")]


def test_each_gpu_is_the_one_whose_utilization_is_shown() -> None:
    answer = TorchAnswer("2.15", "13.2", gpus=[gpu(2), gpu(0)], has_nccl=True)
    assert told(answer, {"CUDA_VISIBLE_DEVICES": "2,0"}) == [
        ("GPUs", "ok", "driver 570.86 knows 4 GPUs, CUDA sees 2"),
        ("cuda:0", "ok", "NVIDIA H200, 80 GiB, the driver's gpu 2"),
        ("cuda:1", "ok", "NVIDIA H200, 80 GiB, the driver's gpu 0"),
    ]
    _, first, _ = told(answer)  # CUDA counts in another order than the driver does
    assert first == ("cuda:0", "warning", "NVIDIA H200, 80 GiB: not the GPU whose utilization would be shown")


def test_a_gpu_that_cannot_compute_prevents_training_and_a_torch_without_nccl_is_named() -> None:
    answer = TorchAnswer("2.15", "13.2", gpus=[gpu(0, "no kernel image is available"), gpu(1)])
    _, first, second, third = told(answer)
    assert first == ("cuda:0", "failure", "NVIDIA H200, 80 GiB: no kernel image is available")
    assert second[1] == "ok"
    assert third == ("NCCL", "warning", "missing from this torch")


@pytest.mark.parametrize(
    ("cuda", "environment", "found"),
    [
        ("", {}, "the driver knows 4 GPUs, but this torch is built for the CPU only"),
        ("13.2", {}, "the driver knows 4 GPUs, but CUDA 13.2 sees none: training runs on the CPU"),
        ("13.2", {"CUDA_VISIBLE_DEVICES": ""},
         "the driver knows 4 GPUs, but CUDA_VISIBLE_DEVICES='' hides them: training runs on the CPU"),
    ],
)  # fmt: skip
def test_gpus_that_torch_does_not_see_are_named_with_the_reason(
    cuda: str, environment: dict[str, str], found: str
) -> None:
    assert told(TorchAnswer("2.15", cuda), environment) == [("GPUs", "warning", found)]


def test_the_command_tells_all_of_it_and_leaves_nothing_behind(fbmon: Fbmon, tmp_path: Path) -> None:
    empty = tmp_path / "data"
    said = fbmon("doctor", "--json", FBMON_DATA=str(empty))
    told = json.loads(said.stdout)
    assert (said.returncode, said.stderr, told["can_train"]) == (0, "", True)
    found = {one["name"]: one for one in told["findings"]}
    assert [*found][:6] == ["fbmon", "terminal", "logout", "processor", "memory", "shared memory"]
    assert found["torch"]["verdict"] == "ok"
    assert (
        found["data"]["found"] == f"digits; nothing in {empty}; missing: mnist, fashion_mnist, svhn, cifar10, cifar100"
    )
    assert found["data"]["advice"].startswith("the first run that needs it downloads it")
    assert not fbmon.runs_dir.exists()
    assert not empty.exists()


def test_without_torch_or_a_folder_for_runs_it_says_so_and_exits_with_1(fbmon: Fbmon, tmp_path: Path) -> None:
    """A torch that breaks at its import, as one with a missing library does; a file where the runs would be."""
    broken = tmp_path / "broken"
    (broken / "torch").mkdir(parents=True)
    (broken / "torch/__init__.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')\n")
    fbmon.runs_dir.write_text("no folder")
    said = fbmon("doctor", PYTHONPATH=os.pathsep.join([str(broken), *filter(None, sys.path)]))
    lines = said.stdout.splitlines()
    assert (said.returncode, said.stderr) == (1, "")
    assert f"failure  runs folder    cannot write to {fbmon.runs_dir}: Not a directory" in lines
    assert "failure  torch          ImportError: libcudart.so.13: cannot open shared object file" in lines
    assert lines[-1] == "this machine cannot train: see runs folder, torch"


def test_the_first_lines_come_before_torch_is_loaded_and_a_reader_may_leave(fbmon: Fbmon) -> None:
    doctor = fbmon.start("doctor")
    assert doctor.stdout is not None
    assert doctor.stderr is not None
    assert doctor.stdout.readline().startswith("ok       fbmon          ")
    doctor.stdout.close()  # as `| head -1` does
    assert doctor.wait(timeout=DEADLINE) == 1
    assert doctor.stderr.read() == ""


def test_in_a_terminal_its_size_and_colours_are_told(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("doctor", width=70, height=30)
    shown.until(r"warning  terminal +70x30, 256 colours, Unicode \(xterm-256color\)")
    shown.until("→ make it 80x24 or larger")


def test_a_run_that_would_end_with_the_logout_says_so_in_one_line(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills(root, more="KillExcludeUsers=\n")
    warn_of_logout(root)
    assert capsys.readouterr().err == (
        "warning: a training started here ends at logout (KillUserProcesses=yes, session-3.scope, linger off); "
        f"to prevent it: {CURE}\n"
    )
    (root / "proc/self/cgroup").write_text("0::/\n")
    warn_of_logout(root)
    assert capsys.readouterr().err == ""
