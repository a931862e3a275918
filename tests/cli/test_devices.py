"""Several processes that share a training: the bits of one, no open port, and what happens when one of them fails."""

import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fbmon import run as folders
from fbmon.events import RunRestarted, StateRestored, StepTaken, TrainingStarted
from fbmon.run import RunFolder
from fbmon.store import summary
from fbmon.store.summary import Summary
from tests.cli.test_resume import assert_same, wait_for_attempt
from tests.conftest import Ended
from tests.gate import Gate
from tests.shell import (
    DEADLINE,
    ENDLESS,
    PROMPTLY,
    Fbmon,
    awaits,
    environment,
    last_word,
    processes,
    rank,
    stand_still,
    steps_taken,
    supervisor,
    tells_what_signals_wait,
    told,
    trainer,
    until,
    wait_for_steps,
)

SILENCE = "8"  # seconds; on a busy machine a step may well take one


@pytest.fixture
def undisturbed(finished: dict[str, Ended]) -> RunFolder:
    """The tiny run in one process."""
    return finished["plain"].folder


def start_two(fbmon: Fbmon, recipe: Path, *options: str) -> "tuple[subprocess.Popen[str], RunFolder]":
    screen = fbmon.start("run", recipe, "--no-ui", "--devices", "cpu:2", "--steps", ENDLESS, *options)
    folder = fbmon.run_folder()
    wait_for_steps(folder)
    return screen, folder


@pytest.mark.slow
def test_two_processes_have_the_bits_of_one_also_when_the_run_began_with_three(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder, gate: Gate
) -> None:
    first = fbmon.start("run", tiny, "--devices", "cpu:3", "--no-ui", **gate.variables)
    folder = fbmon.run_folder()
    until(lambda: told(folder))
    folder.put("stop_after_step", "the test")  # the first block finds it
    gate.open()
    first.communicate(timeout=DEADLINE)
    assert (first.returncode, steps_taken(folder)) == (130, 1)
    resumed = fbmon("resume", "--no-ui", "--devices", "cpu:2")

    assert (resumed.returncode, resumed.stderr) == (0, "")
    plans = [event.device for event in told(folder) if isinstance(event, TrainingStarted)]
    assert plans == ["3 ranks, each on 1 CPU thread", "2 ranks, each on 1 CPU thread"]
    assert_same(folder, undisturbed)


def test_every_step_tells_how_long_each_process_computed_and_that_of_two_blocks_is_the_slowest(
    tiny: Path, fbmon: Fbmon
) -> None:
    ran = fbmon("run", tiny, "--no-ui", "--devices", "cpu:2", "--steps", "20", "--set", "data.limit=96")

    assert (ran.returncode, ran.stderr) == (0, "")
    taken = [event for event in told(fbmon.run_folder()) if isinstance(event, StepTaken)]
    for step in taken:
        assert len(step.rank_seconds) == 2
        fastest, slowest = min(step.rank_seconds), max(step.rank_seconds)
        assert (fastest, slowest) == (step.values["fastest_rank_seconds"], step.values["slowest_rank_seconds"])
        assert 0 < fastest <= slowest <= (step.values["step_seconds"] or 0)
    # The quickest of the steps: a machine that is busy makes some of them longer, and none shorter.
    two_blocks, one_block = (min(step.rank_seconds[rank] for step in taken) for rank in (0, 1))
    assert two_blocks > one_block


@pytest.mark.usefixtures("real_processes")
def test_two_processes_listen_on_the_loopback_only_die_with_their_supervisor_and_one_goes_on_with_the_same_bits(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    fbmon("run", tiny, "--devices", "cpu:2", "--set", "checkpoint.every=3", "--detach")
    folder = fbmon.run_folder()
    stopped = rank(folder, 1)
    wait_for_steps(folder, 4)
    stopped.send_signal(signal.SIGSTOP)  # it cannot leave by itself
    listening = [
        connection.laddr.ip
        for process in processes(folder.path)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    supervisor(folder).kill()
    until(lambda: not processes(folder.path), PROMPTLY)
    resumed = fbmon("resume", "--no-ui", "--devices", "cpu")

    assert set(listening) <= {"127.0.0.1", "::1"}
    assert (resumed.returncode, resumed.stderr) == (0, "")
    plans = [event.device for event in told(folder) if isinstance(event, TrainingStarted)]
    assert plans == ["2 ranks, each on 1 CPU thread", "1 CPU thread"]
    assert_same(folder, undisturbed)
    assert sorted(path.name for path in folder.path.iterdir()) == sorted(
        path.name for path in undisturbed.path.iterdir()
    )


def test_after_a_kill_and_a_standstill_all_are_started_again_and_the_run_has_the_bits_of_an_undisturbed_one(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    # A process that stands still while it saves is waited for thirty times as long: most of the steps are not saved.
    settings = ["--set", "restart.at_most=2", "--set", "checkpoint.every=12", "--stall-limit", SILENCE]
    screen = fbmon.start("run", tiny, "--no-ui", "--devices", "cpu:2", *settings)
    folder = fbmon.run_folder()

    killed = rank(folder, 1)
    wait_for_attempt(folder, 0, steps=13)
    killed.kill()
    wait_for_attempt(folder, 1, steps=0)
    stopped = rank(folder, 0)
    wait_for_attempt(folder, 1, steps=2)
    stopped.send_signal(signal.SIGSTOP)
    stdout, _ = screen.communicate(timeout=2 * DEADLINE)

    assert screen.returncode == 0
    first, second = (event for event in told(folder) if isinstance(event, RunRestarted))
    assert (first.reason, first.number, first.at_most) == ("rank 1 (cpu) was killed by SIGKILL", 1, 2)
    assert re.fullmatch(r"rank 0 \(cpu\), suspended by a signal, stopped responding: .*", second.reason)
    assert stdout.count("rank 1 (cpu) was killed by SIGKILL; restart 1 of at most 2\n") == 1
    restored = [event.step for event in told(folder) if isinstance(event, StateRestored)]
    assert len(restored) == 2
    assert min(restored) >= 12
    assert_same(folder, undisturbed)


def test_when_no_restart_is_left_the_last_fault_ends_the_run_and_is_named(tiny: Path, fbmon: Fbmon) -> None:
    settings = ["--set", "restart.at_most=1", "--stall-limit", SILENCE]
    screen = fbmon.start("run", tiny, "--no-ui", "--steps", ENDLESS, *settings)
    folder = fbmon.run_folder()

    wait_for_attempt(folder, 0, steps=3)
    trainer(folder).kill()
    wait_for_attempt(folder, 1, steps=3)
    trainer(folder).send_signal(signal.SIGSTOP)
    screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (ended.state, ended.exit_code, screen.returncode) == ("killed", 5, 5)
    expected = r"the trainer, suspended by a signal, stopped responding: no block has ended for \d+ s, after 1 restart"
    assert re.fullmatch(expected, ended.reason)
    assert processes(folder.path) == []
    assert not list(folder.path.glob(".meeting-*"))


@tells_what_signals_wait
@pytest.mark.usefixtures("real_processes")
def test_a_run_that_is_asked_to_stop_is_not_restarted(tiny: Path, fbmon: Fbmon) -> None:
    screen = fbmon.start("run", tiny, "--no-ui", "--set", "restart.at_most=5", "--steps", ENDLESS)
    folder = fbmon.run_folder()
    wait_for_steps(folder)
    training = trainer(folder)
    stand_still(training)
    screen.send_signal(signal.SIGTERM)
    until(lambda: awaits(training, signal.SIGTERM))
    training.kill()
    screen.communicate(timeout=DEADLINE)

    assert screen.returncode == 4
    assert not [event for event in told(folder) if isinstance(event, RunRestarted)]


@pytest.mark.slow
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


def ranks_of(job: "subprocess.Popen[str]") -> list[list[str]]:
    """The commands of a job's processes that are fbmon."""
    commands = []
    for process in psutil.Process(job.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            commands.append(process.cmdline())
    return [command for command in commands if "fbmon" in command]


def test_in_a_job_of_torchrun_a_run_is_one_of_its_processes_and_starts_none(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    job = torchrun(fbmon, tiny)
    folder = fbmon.run_folder()
    until(lambda: len(ranks_of(job)) == 2)
    until(lambda: steps_taken(folder) > 0)
    until(lambda: len(ranks_of(job)) <= 2)  # what one of them starts looks like itself for a moment
    said, _ = job.communicate(timeout=DEADLINE)

    assert job.returncode == 0, said
    assert processes(folder.path) == []
    assert said.splitlines()[-1].startswith("finished after step 40 of 40 in ")
    assert len(folders.every(fbmon.runs_dir)) == 1
    assert summary.unchanged(folder) == summary.read(folder) != Summary()
    assert_same(folder, undisturbed)


def test_a_rank_whose_output_has_no_room_goes_on_training(tiny: Path, fbmon: Fbmon) -> None:
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_PORT": free_port()}
    with Path("/dev/full").open("wb") as full:
        job = subprocess.run(
            [sys.executable, "-m", "fbmon", "run", tiny],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(fbmon.runs_dir) | alone,
            timeout=DEADLINE,
            check=False,
        )
    ended = last_word(fbmon.run_folder())
    assert (job.returncode, job.stderr) == (0, b"")
    assert ended is not None
    assert ended.state == "finished"


@pytest.mark.slow
def test_a_job_of_torchrun_that_is_preempted_and_resumed_elsewhere_has_the_bits_of_quickstart_in_one_process(
    fbmon: Fbmon,
) -> None:
    quickstart = ["quickstart", "--no-ui", "--steps", "4"]
    assert fbmon("run", *quickstart, "--devices", "cpu", "--name", "one").returncode == 0
    job = torchrun(fbmon, *quickstart, "--name", "job")
    folder = until(lambda: next((run for run in folders.every(fbmon.runs_dir) if run.name.startswith("job")), None))
    until(lambda: steps_taken(folder) > 0)
    job.send_signal(signal.SIGTERM)
    said, _ = job.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None, said
    assert (ended.state, ended.exit_code) == ("preempted", 75)
    assert 0 < ended.step < 4
    assert fbmon("resume", folder.path, "--no-ui", "--devices", "cpu:2").returncode == 0
    assert_same(folder, folders.find(fbmon.runs_dir, "one"))


def srun(fbmon: Fbmon, recipe: Path, restarts: int) -> "list[subprocess.Popen[str]]":
    """Two tasks of one step, with the variables that srun gives them, on one machine."""
    port = free_port()
    step = {"SLURM_JOB_ID": "4711", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1"}
    step |= {"MASTER_PORT": port, "SLURM_RESTART_COUNT": str(restarts)}
    return [fbmon.start("run", recipe, **step, SLURM_PROCID=task, SLURM_LOCALID=task) for task in ("0", "1")]


@pytest.mark.slow
def test_a_job_of_srun_whose_last_task_is_signalled_saves_and_goes_on_when_it_is_requeued(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    tasks = srun(fbmon, tiny, restarts=0)
    folder = fbmon.run_folder()
    wait_for_steps(folder, 2)
    tasks[1].send_signal(signal.SIGUSR1)
    for task in tasks:
        task.communicate(timeout=DEADLINE)
    ended = last_word(folder)

    assert ended is not None
    assert [task.returncode for task in tasks] == [75, 75]
    assert (ended.state, ended.reason) == ("preempted", "by another rank; the state is saved")
    assert not folder.is_alive()

    again = srun(fbmon, tiny, restarts=1)
    said = [task.communicate(timeout=DEADLINE)[0] for task in again]
    assert [task.returncode for task in again] == [0, 0]
    assert f"resumed from step {ended.step}\n" in said[0]
    assert said[1] == ""
    assert len(folders.every(fbmon.runs_dir)) == 1
    assert_same(folder, undisturbed)
