"""What the system refuses is said with the file, or the deed, that it was refused for."""

import errno
import fcntl
import re
import shutil
from pathlib import Path

import pytest

from fbmon.errors import of_system
from fbmon.host.disk import naming, sync
from fbmon.run import RunFolder
from tests.conftest import Ended
from tests.faults.failing import failing, needs_faults
from tests.shell import Fbmon, last_word, processes


def test_an_error_that_names_no_file_is_told_with_the_deed_or_with_the_line_that_it_came_from(tmp_path: Path) -> None:
    refused = OSError(errno.ENOLCK, "No locks available")
    assert of_system(refused, "locking the run").message == "locking the run: No locks available"
    with pytest.raises(OSError, match="No locks") as raised, naming("a deed"), naming(tmp_path / "lock"):
        raise refused
    assert of_system(raised.value).message == f"{tmp_path}/lock: No locks available"
    with pytest.raises(OSError, match="Bad file descriptor") as unnamed:
        sync(99999)
    said = of_system(unnamed.value).message
    assert re.fullmatch(r"fbmon/host/disk\.py, line \d+, os\.fsync\(file\): Bad file .*", said)


@needs_faults
def test_a_command_that_cannot_be_laid_down_names_its_file(finished: dict[str, Ended], fbmon: Fbmon) -> None:
    whole = finished["plain"].folder
    fbmon.runs_dir.mkdir()
    folder = RunFolder(shutil.copytree(whole.path, fbmon.runs_dir / whole.name))
    with folder.lock.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as if it ran
        said = fbmon("stop", folder.name, **failing("inbox", write="ENOSPC"))
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"fbmon: {folder.inbox}/")
    assert said.stderr.endswith(".json: No space left on device\n       make room on the disk\n")
    assert list(folder.inbox.iterdir()) == []


@needs_faults
def test_a_supervisor_that_cannot_be_started_is_told_by_the_command(tiny: Path, fbmon: Fbmon) -> None:
    said = fbmon("run", tiny, "--no-ui", **failing("fbmon.process.supervisor", fork="EAGAIN"))
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == (
        "fbmon: starting the trainer: Resource temporarily unavailable\n"
        "       `ulimit -u` says how many processes a user may have\n"
    )


@needs_faults
def test_a_trainer_that_cannot_be_started_is_told_by_its_supervisor(tiny: Path, fbmon: Fbmon) -> None:
    said = fbmon("run", tiny, "--no-ui", "--devices", "cpu:2", **failing('"index":1,', fork="ENOMEM"))
    ended = last_word(fbmon.run_folder())
    assert ended is not None
    assert (said.returncode, said.stderr) == (1, "")
    assert (ended.state, ended.exit_code) == ("failed", 1)
    assert ended.reason == "starting the trainer: Cannot allocate memory"
    assert ended.hint == "the system is out of memory"
    assert f"{ended.reason} ({ended.hint})" in said.stdout
    assert not processes(fbmon.runs_dir)


@needs_faults
@pytest.mark.parametrize("process", ["supervisor", "worker"])
def test_a_process_that_may_have_no_thread_says_so_in_the_journal(tiny: Path, fbmon: Fbmon, process: str) -> None:
    said = fbmon("run", tiny, "--no-ui", **failing(f"fbmon.process.{process}", thread="EAGAIN"))
    ended = last_word(fbmon.run_folder())
    assert ended is not None
    assert (said.returncode, ended.state, ended.exit_code) == (1, "failed", 1)
    assert ended.reason == "starting a thread: Resource temporarily unavailable"
    assert f"{ended.reason} (`ulimit -u` says how many processes a user may have)" in said.stdout


@needs_faults
def test_a_rank_of_a_job_that_may_have_no_thread_leaves_no_folder(tiny: Path, fbmon: Fbmon) -> None:
    job = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    said = fbmon("run", tiny, **job, **failing("fbmon", thread="EAGAIN"))
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("fbmon: starting a thread: Resource temporarily unavailable\n")
    assert list(fbmon.runs_dir.iterdir()) == []
