"""System calls that fail: what a file system answers that this machine does not have, or one that is full."""

import os
import sys
from pathlib import Path

import pytest

needs_faults = pytest.mark.skipif(sys.platform != "linux", reason="the faults find the path of a descriptor in /proc")

_CALLS = Path(__file__).parent / "calls"


def failing(path: str = "", recovered: Path | None = None, **calls: str) -> dict[str, str]:
    """Return the variables with which every Python process of a command meets these faults.

    `calls` names an errno for each of fsync_dir, fsync_file, flock, mkdir, rename, write, fork and thread, as
    `fsync_dir="EINVAL"`; `flock="OK"` grants every lock, as one that holds within one host only does. With `path`,
    substrings with | between, only calls on paths that hold one of them fail, of a fork or a thread its command; with
    `recovered`, only as long as there is no such file.

        fbmon("run", tiny, **failing(fsync_dir="EINVAL", path="checkpoints"))
    """
    unknown = set(calls) - {"fsync_dir", "fsync_file", "flock", "mkdir", "rename", "write", "fork", "thread"}
    assert not unknown, f"no such fault: {unknown}"
    variables = {f"FAIL_{name.upper()}": number for name, number in calls.items()}
    variables |= {"FAIL_PATH": path} if path else {}
    variables |= {"FAIL_WHILE": str(recovered)} if recovered else {}
    python_path = filter(None, [str(_CALLS), os.environ.get("PYTHONPATH")])
    return variables | {"PYTHONPATH": os.pathsep.join(python_path)}
