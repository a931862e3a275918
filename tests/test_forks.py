"""A process of the tests that is forked from another is what it would have been by itself."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.forks import ARE_POSSIBLE, VARIABLE
from tests.shell import DEADLINE, environment, until

pytestmark = pytest.mark.skipif(not ARE_POSSIBLE, reason="only Linux has descriptors of processes")

REAL = {VARIABLE: ""}


def start(folder: Path, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    variables = environment(folder) | options.pop("variables", {})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.forks.echo", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=variables,
        **options,
    )  # fmt: skip


def echo(folder: Path, *arguments: str, **options: Any) -> tuple[dict[str, Any], bool, list[str], int]:
    """What it had, whether torch was there, the last line of its error, and how it ended."""
    process = start(folder, *arguments, **options)
    stdout, stderr = process.communicate("a line\n", timeout=DEADLINE)
    had, _, has_torch = json.loads(stdout)
    had["variables"] = [variable for variable in had["variables"] if variable[0] != VARIABLE]
    return had, has_torch, stderr.splitlines()[-1:], process.returncode


@pytest.mark.parametrize(
    "arguments", [("exit", "0"), ("exit", "3"), ("raise", ""), ("die", "9"), ("die", "15"), ("die", "6")], ids=" ".join
)
def test_it_has_all_that_a_process_of_its_own_has_and_ends_like_one(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    def prepare() -> None:
        os.umask(0o027)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    receiving, sending = os.pipe()
    same: dict[str, Any] = {"pass_fds": [sending], "preexec_fn": prepare}
    variables = {"PYTHONUNBUFFERED": "1", "WORD": "ä \udcff"}
    had, has_torch, error, code = echo(tmp_path, *arguments, **same, variables=variables)
    had_itself, had_torch, error_itself, code_itself = echo(tmp_path, *arguments, **same, variables=variables | REAL)
    os.close(receiving)
    os.close(sending)

    assert (has_torch, had_torch) == (True, False)
    assert had == had_itself
    assert sending in had["open"]
    assert (error, code) == (error_itself, code_itself)


def lower_a_limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.mark.parametrize(
    "other",
    [
        {"variables": {"OMP_NUM_THREADS": "2"}},
        {"variables": {"LD_LIBRARY_PATH": "/nowhere"}},
        {"preexec_fn": lower_a_limit},
        {"preexec_fn": lambda: os.nice(1)},
        {"variables": {VARIABLE: "nobody's address"}},
    ],
    ids=["threads", "libraries", "limit", "nice", "address"],
)
def test_what_no_fork_can_be_is_a_process_of_its_own(tmp_path: Path, other: dict[str, Any]) -> None:
    had, has_torch, _, code = echo(tmp_path, "exit", "3", **other)
    assert (has_torch, code) == (False, 3)
    assert had["seen as"].split("\0")[-3:-1] == ["exit", "3"]


def waiting(folder: Path) -> tuple["subprocess.Popen[str]", psutil.Process]:
    """A process and the fork that does its work."""
    process = start(folder, "wait")
    assert process.stdin
    assert process.stdout
    print("a line", file=process.stdin, flush=True)
    _, pid, has_torch = json.loads(process.stdout.readline())
    assert has_torch
    assert process.stdout.readline() == "ready\n"
    return process, psutil.Process(pid)


def test_a_signal_reaches_it(tmp_path: Path) -> None:
    process, _ = waiting(tmp_path)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 7


def test_it_stands_still_and_goes_on_with_it(tmp_path: Path) -> None:
    process, fork = waiting(tmp_path)
    fork.send_signal(signal.SIGSTOP)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    fork.send_signal(signal.SIGCONT)
    until(lambda: psutil.Process(process.pid).status() != psutil.STATUS_STOPPED)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 7


@pytest.mark.parametrize(
    "kill", [lambda process, _: process.kill(), lambda _, fork: fork.kill()], ids=["it", "the fork"]
)
def test_neither_outlives_the_other(
    tmp_path: Path, kill: Callable[["subprocess.Popen[str]", psutil.Process], None]
) -> None:
    process, fork = waiting(tmp_path)
    kill(process, fork)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGKILL
    until(lambda: not fork.is_running())
