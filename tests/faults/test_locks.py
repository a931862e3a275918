"""Runs on file systems without locks, or whose locks hold within one host only: never two trainings in one folder."""

import errno
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.cli.stop import stop
from fbmon.compare import read
from fbmon.doctor.finding import Finding
from fbmon.errors import Exit, RankLostError, UsageError
from fbmon.events import RunResumed
from fbmon.process import launch
from fbmon.ranks.meeting import Meeting
from fbmon.run import Guard, Holder, Life, RunFolder
from fbmon.store.store import Store
from fbmon.ui.charts.status import state_line
from tests.conftest import Ended
from tests.faults.failing import failing, needs_faults
from tests.runs import story, write_run
from tests.shell import (
    DEADLINE,
    ENDLESS,
    PROMPTLY,
    Fbmon,
    environment,
    last_tensors,
    processes,
    stand_still,
    supervisor,
    told,
    trainer,
    until,
    wait_for_steps,
)

pytestmark = needs_faults

HERE = Holder.of(os.getpid(), Path())


def elsewhere(folder: RunFolder, **changes: object) -> Holder:
    """A process of another host."""
    fields = {"host": "far", "boot": "another", "pid": 4711, "folder": folder.path.stat().st_ino} | changes
    return msgspec.structs.replace(HERE, **fields)


def leave_note(folder: RunFolder, holder: Holder, silent: float = 0.0) -> None:
    """Note a holder whose last sign of life is so old; the lock is there, and free."""
    folder.lock.touch()
    folder.holder.write_bytes(msgspec.json.encode(holder))
    for path in (folder.lock, folder.holder, folder.journal):
        if path.exists():
            now = path.stat().st_mtime
            os.utime(path, (now - silent,) * 2)


@pytest.fixture
def killed(runs_dir: Path) -> RunFolder:
    """A run without a last word, and without a note of who trained it."""
    folder = write_run(runs_dir, "a-1", story(state=None))
    folder.inbox.mkdir()
    folder.lock.touch()
    return folder


def test_this_host_decides_by_the_process_at_once(killed: RunFolder) -> None:
    assert killed.look().life is Life.ENDED
    killed.note(os.getpid())
    assert (killed.look().life, killed.look().is_sure) == (Life.RUNNING, True)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        killed.note(process.pid)
        process.wait()
    assert killed.look().life is Life.ENDED
    mine = msgspec.structs.replace(Holder.of(os.getpid(), killed.path), started=1)  # the number was another process's
    leave_note(killed, mine)
    assert killed.look().life is Life.ENDED


def test_another_host_decides_by_the_last_sign_of_life_and_never_says_that_a_silent_run_was_killed(
    killed: RunFolder,
) -> None:
    leave_note(killed, elsewhere(killed))
    assert (killed.look().life, read(killed).is_alive) == (Life.RUNNING, True)
    leave_note(killed, elsewhere(killed), silent=200)
    seen = killed.look()
    assert (seen.life, read(killed).state) == (Life.UNKNOWN, "unknown")
    assert seen.trace == "process 4711 on host far, last sign of life 3:20 ago"
    killed.holder.unlink()
    assert read(killed).state == "killed"  # nobody has left a note, and the lock is free


def test_a_host_that_was_started_anew_trains_no_more(killed: RunFolder) -> None:
    leave_note(killed, elsewhere(killed, host=HERE.host))
    assert killed.look().life is Life.RUNNING, "two hosts may have one name"
    leave_note(killed, elsewhere(killed, host=HERE.host), silent=200)
    assert killed.look().life is Life.ENDED


def test_another_container_of_this_kernel_is_known_by_the_lock(killed: RunFolder) -> None:
    leave_note(killed, msgspec.structs.replace(HERE, host="container", namespace=1))
    assert killed.look().life is Life.ENDED
    said = subprocess.run(
        [sys.executable, "-c", f"from fbmon.run import *; print(RunFolder(as_path('{killed.path}')).look().life)"],
        env=os.environ | failing(flock="OK"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "Life.RUNNING\n", "its locks hold nobody"


def test_a_copy_of_a_run_is_a_run_of_its_own(killed: RunFolder, runs_dir: Path) -> None:
    killed.note(os.getpid())
    copy = write_run(runs_dir, "copy", story(state=None))
    leave_note(copy, Holder.of(os.getpid(), killed.path))
    assert copy.look().life is Life.ENDED


def test_a_sign_from_the_future_tells_nothing(killed: RunFolder) -> None:
    leave_note(killed, elsewhere(killed), silent=-3600)
    assert (killed.look().life, killed.look().silent) == (Life.UNKNOWN, None)


def test_a_damaged_or_hostile_note_is_none(killed: RunFolder) -> None:
    for text in (b"", b"{", b'{"pid":-1}', msgspec.json.encode(HERE).replace(str(HERE.pid).encode(), b"-1"), b"\xff"):
        killed.holder.write_bytes(text)
        assert killed.look().holder is None
    leave_note(killed, elsewhere(killed, host="\x1b]0;x\x07far"), silent=200)
    assert killed.look().trace == "process 4711 on host \ufffd]0;x\ufffdfar, last sign of life 3:20 ago"


def test_who_may_go_on_with_a_run(killed: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(*, force: bool = False) -> str:
        try:
            os.close(killed.seize(force=force))
        except UsageError as error:
            return f"{error.message}; {error.hint}"
        return ""

    killed.note(os.getpid())
    assert refusal(force=True).startswith("a-1 is running; ")
    leave_note(killed, elsewhere(killed))
    assert refusal(force=True).startswith("a-1 seems to be running: process 4711 on host far, last sign of life ")
    leave_note(killed, elsewhere(killed), silent=200)
    assert refusal() == (
        "a-1 may still be running, which cannot be told from here: "
        "process 4711 on host far, last sign of life 3:20 ago; "
        f"make sure that it is gone there; then: fbmon resume {killed.typed} --force"
    )
    assert refusal(force=True) == ""
    leave_note(killed, elsewhere(killed, job="slurm 7"))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert refusal().startswith("a-1 seems to be running"), "a step of the same start of the job"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert refusal() == "", "Slurm has put the job into its queue again: the former start is gone"


def test_whoever_comes_second_drives_the_first_one_out(killed: RunFolder) -> None:
    guard = Guard(killed)
    assert guard.sign() == ""
    killed.holder.unlink()
    assert guard.sign() == ""
    assert killed.look().life is Life.RUNNING, "the note is left again"
    leave_note(killed, elsewhere(killed))
    assert guard.sign() == "process 4711 on host far"
    guard.end()
    assert killed.holder.exists(), "it is the other one's"


def test_a_training_whose_run_was_given_to_another_host_leaves_it(tiny: Path, fbmon: Fbmon) -> None:
    fbmon("run", tiny, "--steps", ENDLESS, "--detach")
    folder = fbmon.run_folder()
    until(lambda: processes(folder.path, "fbmon.process.worker"))  # by now the supervisor has left its own note
    leave_note(folder, elsewhere(folder))
    until(lambda: not processes(folder.path), PROMPTLY)

    assert folder.log.read_text().splitlines()[-1] == (
        "another process is training this run now: process 4711 on host far; this one is leaving"
    )
    assert folder.holder.read_bytes() == msgspec.json.encode(elsewhere(folder))


@pytest.mark.parametrize(
    "flock",
    ["ENOLCK", *(pytest.param(flock, marks=pytest.mark.slow) for flock in ("ENOSYS", "EOPNOTSUPP", "EINVAL", "OK"))],
)
def test_without_locks_a_run_trains_is_seen_refused_to_others_and_stopped(tiny: Path, fbmon: Fbmon, flock: str) -> None:
    faults = failing(flock=flock)
    started = fbmon("run", tiny, "--steps", ENDLESS, "--detach", **faults)
    folder = fbmon.run_folder()
    assert started.returncode == 0
    reason = "a locked file can be locked a second time" if flock == "OK" else os.strerror(getattr(errno, flock))
    assert started.stderr.startswith(f"warning: {fbmon.runs_dir}: no lock can be held here ({reason}); ")
    assert fbmon("runs", "--csv", "--columns", "state", **faults).stdout == "state\nrunning\n"
    for more in ([], ["--force"]):
        refused = fbmon("resume", *more, **faults)
        assert (refused.returncode, refused.stderr.splitlines()[0]) == (2, f"fbmon: {folder.name} is running")
    wait_for_steps(folder, 1)
    stopped = fbmon("stop", **faults)
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, "stopped")
    assert not folder.holder.exists()
    assert fbmon("stop", folder.name, **faults).stdout == f"{folder.name} has already ended: stopped\n"


def test_ranks_meet_at_a_file_of_the_run_or_where_it_cannot_be_locked_at_the_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = Meeting(tmp_path, ranks=2)
    first = meeting.rank(0)
    assert [str(path) for path in tmp_path.iterdir()] == [first.store]
    assert (first.index, first.size, first.address, first.listener) == (0, 2, "", None)
    meeting.close()
    monkeypatch.setattr("fbmon.ranks.meeting.refusal", lambda _path: "No locks available")
    meeting = Meeting(tmp_path, ranks=2)
    first = meeting.rank(0)
    assert first.listener is not None
    assert meeting.rank(1).listener is None
    with socket.socket(fileno=os.dup(first.listener)) as listening:
        host, port = listening.getsockname()
    assert (host, first.address) == ("127.0.0.1", f"127.0.0.1:{port}")
    meeting.begun()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_processes_meet_without_locks_and_compute_the_same_bits(
    tiny: Path, fbmon: Fbmon, finished: dict[str, Ended]
) -> None:
    faults = failing(flock="ENOLCK")
    fbmon("run", tiny, "--devices", "cpu:2", "--detach", **faults)
    folder = fbmon.run_folder()
    wait_for_steps(folder, 1)
    ports = [
        connection.laddr.ip
        for process in processes(folder.path)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    watched = fbmon("watch", "--ui", "none", **faults)

    assert set(ports) == {"127.0.0.1"}
    assert watched.returncode == 0
    assert last_tensors(folder) == last_tensors(finished["plain"].folder)


def on_another_host(fbmon: Fbmon, *arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A command in a container of another name; skips where none can be made."""
    command = ["unshare", "--uts", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*command, "hostname", "other"], capture_output=True, check=False).returncode:
        pytest.skip("no container can be made here")
    typed = shlex.join([sys.executable, "-m", "fbmon", *map(str, arguments)])
    return subprocess.run(
        [*command, "sh", "-c", f"hostname other; {typed}"],
        env=environment(fbmon.runs_dir) | variables,
        cwd=fbmon.runs_dir.parent,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.slow
def test_where_locks_hold_within_one_host_only_another_one_is_refused_until_the_job_is_put_back_into_its_queue(
    tiny: Path, fbmon: Fbmon, finished: dict[str, Ended]
) -> None:
    faults = failing(flock="OK") | {"SLURM_JOB_ID": "4711"}
    fbmon("run", tiny, "--set", "checkpoint.every=3", "--detach", **faults)
    folder = fbmon.run_folder()
    process = supervisor(folder)
    wait_for_steps(folder, 1)
    stand_still(trainer(folder))  # or it would be done before the others have asked
    for more in ([], ["--force"]):
        refused = on_another_host(fbmon, "resume", *more, **faults)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"fbmon: {folder.name} seems to be running: process {process.pid} on host ")
    process.kill()
    again = on_another_host(
        fbmon, "run", tiny, "--set", "checkpoint.every=3", "--ui", "none", SLURM_RESTART_COUNT="1", **faults
    )

    assert again.returncode == 0
    assert [path.name for path in fbmon.runs_dir.iterdir()] == [folder.name]
    assert sum(isinstance(event, RunResumed) for event in told(folder)) == 1
    assert last_tensors(folder) == last_tensors(finished["plain"].folder)


def test_to_stop_a_run_of_which_nothing_is_heard_waits_a_while_and_says_so(
    killed: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fbmon.run.SILENCE_SECONDS", 0.5)
    leave_note(killed, elsewhere(killed), silent=200)
    with pytest.raises(RankLostError) as raised:
        stop(str(killed.path), killed.path.parent)

    trace = "process 4711 on host far, last sign of life 3:20 ago"
    assert capsys.readouterr().out.splitlines()[0] == f"whether a-1 still runs cannot be told from here: {trace}"
    assert raised.value.message.startswith("a-1 has gone silent: process 4711 on host far, last sign of life 3:2")
    assert [path.suffix for path in killed.inbox.iterdir()] == [".json"], "it may wake up and read it"


def test_where_neither_a_lock_nor_a_note_may_be_left_nothing_is_started(tiny: Path, fbmon: Fbmon) -> None:
    said = fbmon("run", tiny, **failing(flock="ENOLCK", rename="EPERM", path="lock|holder"))
    assert said.returncode == 2
    assert re.fullmatch(
        r"fbmon: tiny-\S+: can hold neither a lock nor a note: Operation not permitted\n"
        r"       choose another file system with --runs-dir\n",
        said.stderr,
    )
    assert list(fbmon.runs_dir.iterdir()) == []


def test_a_watched_run_of_which_nothing_is_heard_is_unknown_and_not_killed(killed: RunFolder, fbmon: Fbmon) -> None:
    leave_note(killed, elsewhere(killed), silent=200)
    said = fbmon("watch", killed.path, "--no-ui")
    assert said.returncode == Exit.LOST
    trace = r"process 4711 on host far, last sign of life 3:2\d ago"
    assert re.fullmatch(f"the run has gone silent: {trace}", said.stdout.splitlines()[-1])
    line = state_line(Store(), "a-1", alive=False, silent=200, unread=0, width=80, is_unknown=True)
    assert line.plain.startswith("● unknown, no sign of life")


def test_a_run_that_cannot_be_started_leaves_no_folder(
    tiny: Path, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    def create() -> RunFolder:
        return folders.create(runs_dir, "new", tiny, recipes.dump(recipes.load(tiny)), "cpu", None)

    new, old = create(), create()
    old.journal.write_bytes(b"")  # it was started once
    monkeypatch.setattr(subprocess, "Popen", fail)
    for folder in (new, old):
        with pytest.raises(OSError, match="Resource"):
            launch.start(folder)
    assert list(runs_dir.iterdir()) == [old.path]


def test_the_doctor_says_what_it_means_to_be_without_locks(tmp_path: Path) -> None:
    def locks(faults: dict[str, str]) -> Finding:
        said = subprocess.run(
            [sys.executable, "-c", DOCTOR, tmp_path],
            env=os.environ | faults,
            capture_output=True,
            check=True,
        )
        return msgspec.json.decode(said.stdout, type=Finding)

    assert locks({}).verdict == "ok"
    for flock, reason in {
        "ENOSYS": "Function not implemented",
        "OK": "a locked file can be locked a second time",
    }.items():
        found = locks(failing(flock=flock))
        assert (found.verdict, found.found) == ("warning", reason)
    neither = locks(failing(flock="ENOLCK", rename="EPERM"))
    assert neither.verdict == "failure"
    assert neither.found == "No locks available; nor can a file be replaced: Operation not permitted"
    assert list(tmp_path.iterdir()) == []


DOCTOR = """\
import sys
from pathlib import Path
import msgspec
from fbmon.doctor.storage import examine_storage
(found,) = [one for one in examine_storage(Path(sys.argv[1])) if one.name == "locks"]
sys.stdout.buffer.write(msgspec.json.encode(found))
"""


@pytest.mark.parametrize("how", ["missing", "read-only"])
def test_without_shared_memory_many_long_runs_are_read_by_this_process(runs_dir: Path, fbmon: Fbmon, how: str) -> None:
    for number in range(2):
        folder = write_run(runs_dir, f"a-{number}", story())
        line = folder.journal.read_bytes()
        folder.journal.write_bytes(line + b"x" * 1000 + b"\n" + (b"x" * 999 + b"\n") * 17_000)
    prepare = {
        "missing": "mount -t tmpfs tmpfs /dev",
        "read-only": "mount -t tmpfs -o ro tmpfs /dev/shm",
    }[how]
    command = [sys.executable, "-m", "fbmon", "runs", "--csv", "--columns", "run,state"]
    isolated = ["unshare", "--mount", "sh", "-c", f"{prepare} && exec {shlex.join(command)}"]
    said = subprocess.run(
        isolated,
        env=environment(runs_dir),
        capture_output=True,
        text=True,
        stdin=subprocess.PIPE,
        timeout=DEADLINE,
        check=False,
    )
    if "unshare" in said.stderr or "mount" in said.stderr:
        pytest.skip("nothing may be mounted here")

    assert (said.returncode, said.stderr) == (0, "")
    assert sorted(said.stdout.splitlines()[1:]) == ["a-0,finished", "a-1,finished"]
