"""Disks that refuse, fail or are full: no state is lost that could be saved, and none promised that is not there."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fbmon.doctor.storage import examine_storage
from fbmon.run import checkpoint
from fbmon.run.checkpoint import State
from fbmon.run.checkpoints import steps
from tests.conftest import Ended
from tests.faults.failing import failing, needs_faults
from tests.shell import DEADLINE, Fbmon, environment, last_tensors, last_word, until

NO_SPACE = "No space left on device"
STATE = State(7, "2.10", 1)


def refuse(monkeypatch: pytest.MonkeyPatch, of_file: int | None, of_folder: int | None, only: str = "") -> None:
    """Let fsync answer these errors of files and of folders, or of those whose name is `only`."""

    def fsync(file: int) -> None:
        number = of_folder if stat.S_ISDIR(os.fstat(file).st_mode) else of_file
        if number and (not only or Path(f"/proc/self/fd/{file}").readlink().name == only):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


@contextmanager
def ending(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Within it a command may be listened to; at the end of it, or of the patience, it has ended."""
    deadline = threading.Timer(DEADLINE, process.kill)
    deadline.start()
    try:
        yield
        process.wait(DEADLINE)
    finally:
        deadline.cancel()
        process.kill()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EBADF])
def test_a_file_system_whose_folders_have_no_fsync_keeps_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, None, number)
    saved = checkpoint.save(tmp_path / "checkpoints", STATE, b"tensors")
    assert checkpoint.read(saved)[1] == b"tensors"


@needs_faults
def test_what_fails_after_the_renaming_is_no_failed_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, None, errno.EIO, only="checkpoints")
    saved = checkpoint.save(tmp_path / "checkpoints", STATE, b"tensors")
    assert checkpoint.read(saved)[1] == b"tensors"


@pytest.mark.parametrize(("of_file", "of_folder"), [(errno.EIO, None), (None, errno.EIO), (errno.EDQUOT, None)])
def test_an_fsync_that_fails_before_it_is_one_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_file: int | None, of_folder: int | None
) -> None:
    refuse(monkeypatch, of_file, of_folder)
    with pytest.raises(OSError, match=r"Input/output error|Disk quota exceeded"):
        checkpoint.save(tmp_path / "checkpoints", STATE, b"tensors")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_damaged_checkpoint_that_could_not_be_set_aside_is_not_taken_for_a_saved_one(tmp_path: Path) -> None:
    saved = checkpoint.save(tmp_path / "checkpoints", STATE, b"tensors")
    (saved / "tensors.safetensors").write_bytes(b"tensorz")
    assert checkpoint.save(tmp_path / "checkpoints", STATE, b"tensors") == saved
    assert checkpoint.read(saved)[1] == b"tensors"


def test_doctor_says_what_a_file_system_does_not_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict() -> tuple[str, str]:
        (saving,) = (finding for finding in examine_storage(tmp_path) if finding.name == "saving")
        return saving.verdict, saving.found

    assert verdict() == ("ok", "a saved state is complete, and survives a power cut")
    refuse(monkeypatch, errno.EINVAL, errno.EINVAL)
    lost = "is refused: what is saved survives a kill, but perhaps not a power cut"
    assert verdict() == ("warning", f"fsync of a file and of a folder {lost}")
    refuse(monkeypatch, None, errno.EINVAL)
    assert verdict() == ("warning", f"fsync of a folder {lost}")
    refuse(monkeypatch, None, errno.EIO)
    assert verdict() == ("failure", "creating a folder with a file: Input/output error; no state can be saved")
    assert list(tmp_path.iterdir()) == []


@needs_faults
def test_a_run_on_such_a_file_system_saves_and_keeps_as_many_states_as_elsewhere(
    tiny: Path, fbmon: Fbmon, finished: dict[str, Ended]
) -> None:
    said = fbmon("run", tiny, "--no-ui", "--set", "checkpoint.every=5", **failing(fsync_dir="EINVAL"))
    folder = fbmon.run_folder()
    assert (said.returncode, "could not be saved" in said.stdout) == (0, False)
    assert last_tensors(folder) == last_tensors(finished["plain"].folder)
    assert len(steps(folder.checkpoints)) <= 3  # the last two and the best


@contextmanager
def on_a_full_disk(fbmon: Fbmon, recipe: Path, room: Path) -> "Iterator[tuple[subprocess.Popen[str], Iterator[str]]]":
    """A run, and its lines, of which neither states nor journal nor log can be written until there is a file `room`."""
    full = failing("checkpoints|journal.jsonl|trainer.log", room, write="ENOSPC")
    process = fbmon.start("run", recipe, "--no-ui", **full)
    with ending(process):
        yield process, iter(process.stdout or ())


@needs_faults
def test_a_full_disk_is_waited_for_at_the_end_and_the_last_word_is_not_lost(
    tiny: Path, fbmon: Fbmon, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    waiting = f"step 40 could not be saved: {NO_SPACE}; trying again for up to 5:00, or until the run is stopped\n"
    with on_a_full_disk(fbmon, tiny, room) as (process, lines):
        assert waiting in lines
        room.touch()
        *_, last = lines
    folder = fbmon.run_folder()
    assert process.returncode == 0
    assert last.startswith("finished after step 40 of 40 in ")
    assert steps(folder.checkpoints)[-1] == 40
    ended = until(lambda: last_word(folder))
    assert (ended.state, ended.exit_code, ended.step) == ("finished", 0, 40)


@needs_faults
def test_a_stop_ends_the_waiting_for_a_full_disk_and_the_exit_code_is_6_without_a_journal(
    tiny: Path, fbmon: Fbmon, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    with on_a_full_disk(fbmon, tiny, room) as (process, lines):
        assert any("or until the run is stopped" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert any(line.startswith("failed after step 40 of 40 in ") for line in lines)
        room.touch()  # the supervisor writes down what nobody else could
        assert list(lines) == []
    folder = fbmon.run_folder()
    assert process.returncode == 6
    ended = last_word(folder)
    assert ended is not None
    assert (ended.state, ended.exit_code) == ("failed", 6)
    assert ended.reason == "the trainer exited with code 6, and its last word could not be written"


def test_where_no_file_takes_a_byte_more_the_exit_code_is_that_of_the_trainer(tiny: Path, fbmon: Fbmon) -> None:
    """Of 2 KiB that every file may have, the journal and the log use all before the end."""
    limited = subprocess.run(
        [sys.executable, "-m", "fbmon", "run", str(tiny), "--no-ui"],
        cwd=fbmon.runs_dir.parent,
        env=environment(fbmon.runs_dir),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert limited.returncode == 6
    hint = "no state of this run is on the disk: `fbmon resume` begins again at the first step"
    assert f"the state after step 40 could not be saved: File too large ({hint})" in limited.stdout.splitlines()[-1]
    assert last_word(fbmon.run_folder()) is None
