"""The faults that tests ask for are those that a process meets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.failing import failing, needs_faults

TRY = """\
import fcntl, os, subprocess, sys
from pathlib import Path

here = Path(sys.argv[1])
folder, file = os.open(here, os.O_RDONLY), os.open(here / "file", os.O_RDWR | os.O_CREAT)
tries = {
    "fsync_dir": lambda: os.fsync(folder),
    "fsync_file": lambda: os.fsync(file),
    "flock": lambda: fcntl.flock(file, fcntl.LOCK_EX),
    "mkdir": lambda: (here / "new").mkdir(exist_ok=True),
    "rename": lambda: (here / "file").rename(here / "other"),
    "fork": lambda: subprocess.run(["true", here]),
    "write": lambda: (here / "text").write_text("x"),
}
for name, call in tries.items():
    try:
        call()
    except OSError as error:
        print(name, error.strerror, flush=True)
"""


def attempt(folder: Path, **faults: str) -> str:
    """Return what has failed of one call of each kind in a folder."""
    command = [sys.executable, "-c", TRY, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | faults).stdout


@needs_faults
@pytest.mark.parametrize("call", ["fsync_dir", "fsync_file", "flock", "mkdir", "rename", "write", "fork"])
def test_only_the_call_that_is_to_fail_does_and_only_there_and_then(tmp_path: Path, call: str) -> None:
    sick, well = tmp_path / "sick", tmp_path / "well"
    sick.mkdir()
    well.mkdir()
    recovered = tmp_path / "recovered"
    faults = failing("sick", recovered, **{call: "EINVAL"})
    assert attempt(sick, **faults) == f"{call} Invalid argument\n"
    assert attempt(well, **faults) == ""
    recovered.touch()
    assert attempt(sick, **faults) == ""
