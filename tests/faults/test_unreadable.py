"""What a run has on disk and cannot be read now, or not all of it: nobody begins again beside it, nobody dies of it."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fbmon.errors import FbmonError, UsageError
from fbmon.events import PhaseEntered, StateRestored, StepTaken
from fbmon.run import RunFolder, checkpoint, unmade_on_failure
from fbmon.run.checkpoint import State
from fbmon.run.checkpoints import path_of, steps
from fbmon.run.journal import Journal, last_event, last_step
from tests.conftest import Ended
from tests.shell import Fbmon, environment, last_tensors, last_word, told


@pytest.fixture
def ended(finished: dict[str, Ended], fbmon: Fbmon) -> RunFolder:
    """A copy of a run that has finished and is to take four more steps."""
    whole = finished["plain"].folder
    fbmon.runs_dir.mkdir()
    folder = RunFolder(shutil.copytree(whole.path, fbmon.runs_dir / whole.name))
    recipe = folder.resolved.read_text().splitlines()
    count = next(line for line in recipe if line.startswith("steps = "))
    more = f"steps = {int(count.removeprefix('steps = ')) + 4}"
    folder.resolved.write_text("\n".join(more if line == count else line for line in recipe) + "\n")
    return folder


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, path: Path, number: int) -> None:
    """Let this file or folder answer an error to whoever reads it."""
    read_bytes, listdir = Path.read_bytes, os.listdir

    def refusing_read(asked: Path) -> bytes:
        if asked == path:
            raise OSError(number, os.strerror(number))
        return read_bytes(asked)

    def refusing_list(asked: Path) -> list[str]:
        if asked == path:
            raise OSError(number, os.strerror(number), str(asked))
        return listdir(asked)

    monkeypatch.setattr(Path, "read_bytes", refusing_read)
    monkeypatch.setattr(os, "listdir", refusing_list)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_state_that_cannot_be_read_now_is_no_damaged_one(
    ended: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    from fbmon.cli.intact import read_recipe

    newest = path_of(ended.checkpoints, steps(ended.checkpoints)[-1])
    for path in (ended.checkpoints, newest / "state.json"):
        with monkeypatch.context() as patches:
            refuse_to_read(patches, path, number)
            with pytest.raises(FbmonError, match="cannot be read: ") as refused:
                read_recipe(ended)
        assert refused.value.message == f"{path}: cannot be read: {os.strerror(number)}"
    read_recipe(ended)


def test_states_on_a_disk_that_is_not_mounted_are_missed_before_anything_starts(
    ended: RunFolder, fbmon: Fbmon, tmp_path: Path
) -> None:
    shutil.rmtree(ended.checkpoints)
    ended.checkpoints.symlink_to(tmp_path / "not mounted")
    said = fbmon("resume", ended.name, "--no-ui")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"fbmon: {ended.checkpoints}: cannot be read: No such file or directory\n")


def test_a_step_whose_state_is_there_and_unreadable_is_not_saved_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.save(tmp_path / "checkpoints", State(7, "2.10", 1), b"tensors")
    with monkeypatch.context() as patches:
        refuse_to_read(patches, saved / "state.json", errno.EIO)
        with pytest.raises(OSError, match="Input/output error"):
            checkpoint.save(tmp_path / "checkpoints", State(7, "2.10", 1), b"tensors")
    assert checkpoint.read(saved)[1] == b"tensors"


def test_a_run_whose_journal_is_lost_goes_on_from_its_state(ended: RunFolder, fbmon: Fbmon) -> None:
    newest = steps(ended.checkpoints)[-1]
    ended.journal.unlink()
    said = fbmon("resume", ended.name, "--no-ui")
    assert (said.returncode, said.stderr) == (0, "")
    events = told(ended)
    assert [event.step for event in events if isinstance(event, StateRestored)] == [newest]
    assert [event.step for event in events if isinstance(event, StepTaken)] == [newest + i for i in (1, 2, 3, 4)]


def test_behind_a_hole_of_any_size_a_journal_goes_on_counting(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(StepTaken(41, {}))
    for _ in range(2000):  # more than is looked into at once
        journal.append(PhaseEntered("training"))
    journal.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(bytes(300_000))
    newest = last_event(tmp_path / "journal.jsonl")
    assert newest is not None
    assert newest.seq == 2001
    assert last_step(tmp_path / "journal.jsonl") == 41
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(PhaseEntered("training"))
    journal.close()
    newest = last_event(tmp_path / "journal.jsonl")
    assert newest is not None
    assert newest.seq == 2002


def test_an_inbox_that_cannot_be_listed_for_a_moment_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.put("stop", "fbmon stop")

    def refusing(_folder: Path, _pattern: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patches:
        patches.setattr(Path, "glob", refusing)
        assert folder.take() is None
    asked = folder.take()
    assert asked is not None
    assert asked.command == "stop"


def test_a_command_that_root_lays_down_is_readable_to_the_owner_of_the_run(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        RunFolder(tmp_path).put("stop", "fbmon stop")
    finally:
        os.umask(umask)
    (command,) = (tmp_path / "inbox").iterdir()
    assert command.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "inbox").stat().st_mode & 0o777 == 0o700


def test_who_only_looks_at_a_lock_keeps_no_run_from_going_on(ended: RunFolder) -> None:
    with ended.lock.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        glance = threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN))
        glance.start()
        os.close(ended.seize())
        glance.join()


def test_a_new_folder_that_somebody_else_has_started_meanwhile_is_not_taken_away(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    with pytest.raises(UsageError, match="run is running"), unmade_on_failure(folder):  # noqa: PT012
        lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.seize()
    os.close(lock)
    assert folder.lock.exists()


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_a_run_whose_standard_streams_are_closed_trains(tiny: Path, fbmon: Fbmon, closed: str) -> None:
    command = f'exec "$0" -m fbmon run "$1" --steps 2 --no-ui {closed}'
    said = subprocess.run(
        ["sh", "-c", command, sys.executable, str(tiny)],
        env=environment(fbmon.runs_dir),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert last_tensors(fbmon.run_folder())


def test_cpu_time_that_runs_out_preempts() -> None:
    program = (
        "import resource\n"
        "from fbmon.process.commands import Commands\n"
        "commands = Commands(None)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\n"
        "while not (taken := commands.next()): pass\n"
        "print(taken.command, taken.source)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "preempt SIGXCPU\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is made by Linux")
def test_a_command_whose_output_goes_to_a_full_disk_waits_for_the_exit_code_of_its_run(
    tiny: Path, fbmon: Fbmon
) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "fbmon", "run", str(tiny), "--steps", "2", "--no-ui"],
            env=environment(fbmon.runs_dir),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=full,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 0
    word = last_word(fbmon.run_folder())
    assert word is not None
    assert word.state == "finished"
