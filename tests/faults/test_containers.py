"""A run in a container: no home, no name, no temporary folder, the first process, a network that nobody has set up."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import fbmon as package
from fbmon.doctor.loopback import examine_loopback
from fbmon.host import own_folders, scratch
from fbmon.run import every
from tests.runs import story, write_run
from tests.shell import DEADLINE, Fbmon, environment, last_word, told, until, wait_for_steps

NOBODY = "12345"  # a number that stands in no passwd

# The interpreter and the sources may lie in a folder of root's; they are read, nothing is written there.
AS_NOBODY = (
    f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "
    "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search"
)
NO_TEMPORARY_FOLDER = """
set -e
mount --bind "$1" /mnt
for folder in /tmp /var/tmp /usr/tmp; do
    if [ -d $folder ]; then mount --bind $folder $folder; mount -o remount,bind,ro $folder; fi
done
cd /
shift
exec "$@"
"""


def in_a_namespace(*options: str) -> list[str]:
    """Return the beginning of a command; skips the test where no such namespace can be made."""
    command = ["unshare", *options]
    try:
        subprocess.run([*command, "true"], capture_output=True, timeout=DEADLINE, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"unshare {' '.join(options)} is not to be had here")
    return command


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become nobody")
def test_without_home_name_and_temporary_folder_a_run_trains_and_is_compared(tmp_path: Path, tiny: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o777)
    sources = str(Path(package.__file__).parents[1])
    start = [*in_a_namespace("-m"), "sh", "-c", NO_TEMPORARY_FOLDER, "sh", str(tmp_path), *AS_NOBODY.split()]
    start += ["env", "-i", "PATH=/usr/bin:/bin", "OMP_NUM_THREADS=1", f"PYTHONPATH={sources}", sys.executable]
    runs = ["--runs-dir", "/mnt/runs"]

    ended = subprocess.run(
        [*start, "-m", "fbmon", "run", f"/mnt/{tiny.name}", "--no-ui", *runs],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    compared = subprocess.run(
        [*start, "-m", "fbmon", "compare", "--json", *runs],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "finished after step 40 of 40" in ended.stdout
    assert (compared.returncode, compared.stderr) == (0, "")
    (made,) = every(tmp_path / "runs")
    meta = made.read_meta()
    assert meta is not None
    assert (meta.user, meta.data_dir) == (NOBODY, "/data")
    assert not list(made.path.glob("torchinductor*")), "what torch lays into its temporary folder is nothing of a run"


def test_the_first_process_of_a_container_is_preempted_by_sigterm_as_any_other(fbmon: Fbmon, tiny: Path) -> None:
    command = [*in_a_namespace("-p", "-f", "--mount-proc"), sys.executable, "-m", "fbmon", "run", str(tiny), "--no-ui"]
    outer = subprocess.Popen(
        [*command, "--set", "steps=100000"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=fbmon.runs_dir.parent, env=environment(fbmon.runs_dir),
    )  # fmt: skip
    try:
        folder = fbmon.run_folder()
        wait_for_steps(folder)
        (first,) = psutil.Process(outer.pid).children()
        first.send_signal(signal.SIGTERM)
        said, _ = outer.communicate(timeout=DEADLINE)
    finally:
        for process in psutil.Process(outer.pid).children() if outer.poll() is None else []:
            process.kill()  # with it all in its namespace
        outer.kill()
    assert outer.returncode == 75, said
    word = last_word(folder)
    assert word is not None
    assert (word.state, word.reason) == ("preempted", "by SIGTERM; the state is saved")
    assert told(folder)


def test_the_first_process_of_a_container_heeds_sigterm_where_it_only_looks_on(tmp_path: Path) -> None:
    """Of signals without a handler the kernel passes none on to it: it would be killed after ten seconds."""
    lock = write_run(tmp_path / "runs", "a", story(state=None)).seize()  # as it is running, it is watched on and on
    command = [*in_a_namespace("-p", "-f", "--mount-proc"), sys.executable, "-m", "fbmon", "watch", "a", "--no-ui"]
    outer = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path / "runs")
    )
    try:
        (first,) = until(psutil.Process(outer.pid).children)
        until(lambda: has_handler(first, signal.SIGTERM))
        first.send_signal(signal.SIGTERM)
        assert outer.wait(DEADLINE) == 128 + signal.SIGTERM
    finally:
        for process in psutil.Process(outer.pid).children() if outer.poll() is None else []:
            process.kill()
        outer.kill()
        outer.communicate()
        os.close(lock)


def has_handler(process: psutil.Process, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(caught & 1 << number - 1)


def test_where_the_loopback_is_down_several_devices_are_refused_before_anything_starts(
    fbmon: Fbmon, tiny: Path
) -> None:
    said = subprocess.run(
        [*in_a_namespace("-n"), sys.executable, "-m", "fbmon", "run", str(tiny), "--no-ui", "--devices", "cpu:2"],
        cwd=fbmon.runs_dir.parent, env=environment(fbmon.runs_dir),
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stdout) == (2, "")
    hint = "`ip link set lo up` as root, or train on one device"
    assert said.stderr == f"fbmon: 2 devices communicate over the loopback, which is down\n       {hint}\n"
    assert not fbmon.runs_dir.exists()


def test_a_loopback_that_is_down_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fbmon.host.loopback.is_up", lambda: False)
    found = examine_loopback()
    assert (found.verdict, found.found) == ("warning", "down")


def test_of_a_user_without_a_home_nothing_is_kept_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def homeless(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_dir", homeless)
    assert not own_folders.is_writable(own_folders.cache_folder())
    assert own_folders.is_writable(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    assert not own_folders.is_writable(tmp_path / "file" / "a")


def test_where_the_system_has_no_temporary_folder_one_serves_that_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("USER", "somebody")
    assert scratch.with_what_torch_needs({"A": "B"}, tmp_path) == {"A": "B"}

    def none_usable(*_: object, **__: object) -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none_usable)
    monkeypatch.setattr("fbmon.host.scratch._IN_MEMORY", tmp_path / "nowhere" / "shm")
    monkeypatch.setattr("fbmon.host.own_folders.os.access", lambda path, _: path == tmp_path)
    assert scratch.with_what_torch_needs({"A": "B"}, tmp_path / "run")["TMPDIR"].startswith(str(tmp_path))
    with scratch.nameless_file() as file:
        file.write(b"kept")
        file.seek(0)
        assert file.read() == b"kept"


def test_a_user_without_a_name_has_a_number_for_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert scratch.with_what_torch_needs({"A": "B"})["USER"] == str(os.getuid())
