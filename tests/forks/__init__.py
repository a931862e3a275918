"""Processes that import much, forked from one that has imported it: torch, or the rest of fbmon."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from tests.forks.names import IMPORTED

ARE_POSSIBLE = sys.platform.startswith("linux") and hasattr(os, "pidfd_open")
VARIABLE = "FBMON_TEST_FORKS"  # the address of the servers; a process that has not got it imports all itself


def start() -> Callable[[], None]:
    """Let what this process starts from now on, and they start in turn, find the servers; returns what ends it.

    Only Linux has what it needs: descriptors of processes, and addresses that are no files.
    """
    if not ARE_POSSIBLE:
        return lambda: None
    address = f"fbmon-tests-{token_hex(16)}"
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] += os.pathsep + here
    servers = [
        subprocess.Popen(
            # One thread, as the tests' runs have it; the letters make room for the command lines of its forks.
            [sys.executable, "-m", "tests.forks.server", name, f"{address}-{name}", "x" * 8192],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for name in IMPORTED
    ]
    os.environ[VARIABLE] = address

    def end() -> None:
        for server in servers:
            server.communicate()

    return end
