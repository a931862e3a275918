"""Several processes that share a training: the bits of one, no open port, and what happens when one of them fails."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fbmon import folder as folders
from fbmon.events import StepTaken, TrainingStarted
from fbmon.folder import RunFolder
from tests.cli.test_resume import assert_same
from tests.conftest import Ended
from tests.shell import (
    DEADLINE,
    ENDLESS,
    Fbmon,
    environment,
    last_word,
    processes,
    rank,
    steps_taken,
    supervisor,
    told,
    until,
    wait_for_steps,
)


@pytest.fixture
def undisturbed(finished: dict[str, Ended]) -> RunFolder:
    """The tiny run in one process."""
    return finished["plain"].folder


def start_two(fbmon: Fbmon, recipe: Path, *options: str) -> "tuple[subprocess.Popen[str], RunFolder]":
    screen = fbmon.start("run", recipe, "--no-ui", "--devices", "cpu:2", "--steps", ENDLESS, *options)
    folder = fbmon.run_folder()
    wait_for_steps(folder)
    return screen, folder


def test_two_processes_have_the_bits_of_one_also_when_the_run_began_with_three(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    fbmon("run", tiny, "--devices", "cpu:3", "--detach")
    folder = fbmon.run_folder()
    wait_for_steps(folder, 2)
    fbmon("stop")
    assert 0 < steps_taken(folder) < 40
    resumed = fbmon("resume", "--no-ui", "--devices", "cpu:2")

    assert (resumed.returncode, resumed.stderr) == (0, "")
    plans = [event.device for event in told(folder) if isinstance(event, TrainingStarted)]
    assert plans == ["3 ranks, each on 1 CPU thread", "2 ranks, each on 1 CPU thread"]
    assert_same(folder, undisturbed)
    assert sorted(path.name for path in folder.path.iterdir()) == sorted(
        path.name for path in undisturbed.path.iterdir()
    )


def test_processes_of_one_machine_listen_on_the_loopback_only(tiny: Path, fbmon: Fbmon) -> None:
    _, folder = start_two(fbmon, tiny)

    listening = [
        connection.laddr.ip
        for process in processes(folder.path)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert set(listening) <= {"127.0.0.1", "::1"}
    supervisor(folder).kill()
    until(lambda: not processes(folder.path), seconds=1)


def test_a_killed_process_is_named_and_ends_the_run(tiny: Path, fbmon: Fbmon) -> None:
    screen, folder = start_two(fbmon, tiny)

    rank(folder, 1).kill()
    ended = until(lambda: last_word(folder), seconds=8)
    screen.communicate(timeout=DEADLINE)

    assert (ended.state, ended.exit_code, screen.returncode) == ("killed", 4, 4)
    assert ended.reason == "rank 1 (cpu) was killed by SIGKILL"
    assert processes(folder.path) == []
    assert not list(folder.path.glob(".*"))


def test_a_process_that_stands_still_is_found_and_named(tiny: Path, fbmon: Fbmon) -> None:
    screen, folder = start_two(fbmon, tiny, "--stall-limit", "1")

    rank(folder, 1).send_signal(signal.SIGSTOP)
    ended = until(lambda: last_word(folder), seconds=DEADLINE)
    screen.communicate(timeout=DEADLINE)

    assert (ended.state, ended.exit_code, screen.returncode) == ("killed", 5, 5)
    expected = r"rank 1 \(cpu\), stopped by a signal, did not answer any more: no block has ended for \d+ s"
    assert re.fullmatch(expected, ended.reason)
    assert processes(folder.path) == []


def test_a_stopped_process_does_not_outlive_its_supervisor(tiny: Path, fbmon: Fbmon) -> None:
    _, folder = start_two(fbmon, tiny)

    rank(folder, 1).send_signal(signal.SIGSTOP)
    supervisor(folder).kill()

    until(lambda: not processes(folder.path), seconds=1)


def test_a_signal_reaches_all_processes_at_the_same_block(tiny: Path, fbmon: Fbmon) -> None:
    screen, folder = start_two(fbmon, tiny)

    screen.send_signal(signal.SIGTERM)
    screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (screen.returncode, ended.state, ended.reason) == (75, "preempted", "by SIGTERM; the state is saved")
    assert max(folder.checkpoints.iterdir()).name == f"step-{ended.step:08d}"
    assert processes(folder.path) == []


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def torchrun(fbmon: Fbmon, *arguments: str | Path) -> "subprocess.Popen[str]":
    command = ["torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    command += ["--master-port", free_port(), "-m", "fbmon", "run", *map(str, arguments)]
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=fbmon.runs_dir.parent,
        env=environment(fbmon.runs_dir),
    )


def test_in_a_job_of_torchrun_a_run_is_one_of_its_processes_and_starts_none(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    job = torchrun(fbmon, tiny)
    folder = fbmon.run_folder()
    until(lambda: steps_taken(folder) > 0)
    started = [process.cmdline() for process in psutil.Process(job.pid).children(recursive=True)]
    said, _ = job.communicate(timeout=DEADLINE)

    assert job.returncode == 0, said
    assert len([command for command in started if "fbmon" in command]) == 2
    assert processes(folder.path) == []
    assert said.splitlines()[-1].startswith("finished after step 40 of 40 in ")
    assert len(folders.every(fbmon.runs_dir)) == 1
    assert_same(folder, undisturbed)


def test_a_signal_to_a_job_of_torchrun_saves_and_the_run_can_be_resumed_without_it(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    job = torchrun(fbmon, tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    wait_for_steps(folder)

    job.send_signal(signal.SIGTERM)
    said, _ = job.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None, said
    assert (ended.state, ended.exit_code) == ("preempted", 75)
    assert ended.reason.endswith("; the state is saved")
    assert max(folder.checkpoints.iterdir()).name == f"step-{ended.step:08d}"
    assert not folder.is_alive()
    taken = ended.step
    resumed = fbmon.start("resume", "--no-ui", "--devices", "cpu")
    until(lambda: any(isinstance(event, StepTaken) and event.step > taken for event in told(folder)))
    resumed.kill()
