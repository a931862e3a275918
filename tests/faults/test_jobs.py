"""Jobs of torchrun and srun: all leave after rank 0, strangers are noticed, and who is missing is told."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from torch._C._distributed_c10d import HashStore

from fbmon.cli.lines import last_line
from fbmon.cli.member import _screen
from fbmon.cli.options import Ui
from fbmon.errors import FbmonError, RankLostError
from fbmon.events import Event, RunEnded, RunResumed, RunStarted, StateRestored, StepTaken, Validated
from fbmon.ranks.rank import Rank, rank_in_job
from fbmon.run import RunFolder
from fbmon.run.journal import Journal
from fbmon.store.store import Store
from fbmon.train.ranks.meet import Waiting, meet, store_of_job
from tests.cli.test_devices import free_port, start_two
from tests.shell import DEADLINE, ENDLESS, Fbmon, last_word, processes, rank, until, wait_for_steps

# The disk of rank 0: once `shut` is there, a write that is to last waits until `open` is.
SLOW_DISK = """\
import os, time
from pathlib import Path

here, write = Path(__file__).parent, os.fsync

def fsync(descriptor):
    if (here / "shut").exists():
        (here / "saving").touch()
        while not (here / "open").exists():
            time.sleep(0.01)
    write(descriptor)

os.fsync = fsync
"""


class Disk:
    """A disk that takes as long as a test wants, for processes that have its `variables`."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        (home / "sitecustomize.py").write_text(SLOW_DISK)
        self.variables = {"PYTHONPATH": os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")]))}
        self._home = home

    def shut(self) -> None:
        (self._home / "shut").touch()

    def is_written_to(self) -> bool:
        return (self._home / "saving").exists()

    def open(self) -> None:
        (self._home / "open").touch()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "disk")


def srun_of_two(fbmon: Fbmon, recipe: Path, disk: Disk, *options: str) -> "list[subprocess.Popen[str]]":
    step = {"SLURM_JOB_ID": "4711", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1"}
    step |= {"MASTER_PORT": free_port()} | disk.variables
    return [fbmon.start("run", recipe, *options, **step, SLURM_PROCID=task, SLURM_LOCALID=task) for task in ("0", "1")]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_no_rank_leaves_before_the_first_has_saved_although_the_launcher_would_kill_all_at_the_first_to_go(
    number: signal.Signals, code: int, tiny: Path, fbmon: Fbmon, disk: Disk
) -> None:
    first, other = ranks = srun_of_two(fbmon, tiny, disk, "--steps", ENDLESS, "--set", "checkpoint.seconds=86400")
    folder = fbmon.run_folder()
    wait_for_steps(folder)
    disk.shut()

    for process in ranks:
        process.send_signal(number)
    until(disk.is_written_to)
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(2)  # a launcher would kill rank 0 now
    disk.open()
    said = [process.communicate(timeout=DEADLINE) for process in ranks]

    ended = last_word(folder)
    assert ended is not None
    assert [process.returncode for process in ranks] == [code, code], said
    assert ended.exit_code == code
    assert (folder.checkpoints / f"step-{ended.step:08d}").exists()
    assert first.pid != other.pid


@pytest.mark.slow
def test_all_ranks_wait_for_the_last_good_state_after_a_step_that_is_not_finite(
    tiny: Path, fbmon: Fbmon, disk: Disk
) -> None:
    settings = ["--set", "optimizer.lr=1e30", "--set", "clip.norm=1e30", "--set", "schedule.warmup=0"]
    disk.shut()
    _, other = ranks = srun_of_two(fbmon, tiny, disk, *settings)
    until(disk.is_written_to)
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(2)
    disk.open()
    for process in ranks:
        process.communicate(timeout=DEADLINE)

    assert [process.returncode for process in ranks] == [3, 3]
    assert list(fbmon.run_folder().checkpoints.glob("step-*"))


@pytest.mark.slow
def test_a_first_rank_that_dies_while_it_saves_is_not_waited_for(tiny: Path, fbmon: Fbmon, disk: Disk) -> None:
    first, other = ranks = srun_of_two(fbmon, tiny, disk, "--steps", ENDLESS)
    wait_for_steps(fbmon.run_folder())
    disk.shut()
    for process in ranks:
        process.send_signal(signal.SIGTERM)
    until(disk.is_written_to)

    first.kill()
    stdout, stderr = other.communicate(timeout=DEADLINE)

    assert (other.returncode, stdout) == (4, "")
    assert "rank 1 has lost the others: " in stderr


@pytest.mark.slow
def test_the_supervisor_lets_the_first_rank_save_although_another_one_has_died(
    tiny: Path, fbmon: Fbmon, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", disk.variables["PYTHONPATH"])
    screen, folder = start_two(fbmon, tiny)
    disk.shut()
    screen.send_signal(signal.SIGTERM)
    until(disk.is_written_to)

    rank(folder, 1).kill()
    with pytest.raises(subprocess.TimeoutExpired):
        screen.wait(4)  # twice the time that the others are given where nothing is being saved
    disk.open()
    screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (screen.returncode, ended.state) == (75, "preempted")
    assert (folder.checkpoints / f"step-{ended.step:08d}").exists()
    assert processes(folder.path) == []


def test_a_rank_that_is_missing_is_named_again_and_again_to_all_until_it_comes() -> None:
    store, said = HashStore(), dict[int, list[str]]({0: [], 1: []})
    errors: list[BaseException] = []

    def come(rank: int) -> threading.Thread:
        def attempt() -> None:
            try:
                meet(Rank(rank, 4), store, Waiting(DEADLINE, said.setdefault(rank, []).append, interval=0.01))
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        return thread

    there = [come(0)]
    until(lambda: any(line == "waiting for 0 s for ranks 1, 2 and 3 of 4" for line in said[0]))
    there += [come(1), come(3)]
    for hears in (0, 1):
        until(lambda: any(line.endswith(" s for rank 2 of 4") for line in said[hears]))  # noqa: B023
    there += [come(2)]
    for thread in there:
        thread.join(DEADLINE)
    assert errors == []


def test_the_wait_for_a_missing_rank_has_an_end_and_a_signal_ends_it_too() -> None:
    with pytest.raises(RankLostError, match=r"^rank 1 of 2 did not come within 0 s\n"):
        meet(Rank(0, 2), HashStore(), Waiting(0.2))

    def heed() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        meet(Rank(0, 2), HashStore(), Waiting(DEADLINE, heed=heed))


def test_two_steps_of_one_job_have_two_ports_and_where_they_have_one_each_rank_says_whom_it_has_met() -> None:
    def seat_of(step: int, rank: int, **more: str) -> Rank:
        variables = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": str(step), "SLURM_PROCID": str(rank)}
        seat = rank_in_job(variables | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "127.0.0.1"} | more)
        assert seat is not None
        return seat

    assert seat_of(0, 0).address == seat_of(0, 1).address != seat_of(1, 0).address

    port = free_port()
    first = store_of_job(seat_of(0, 0, MASTER_PORT=port), Waiting(DEADLINE))
    with pytest.raises(FbmonError) as met:
        store_of_job(seat_of(1, 1, MASTER_PORT=port), Waiting(DEADLINE))
    assert met.value.message == (f"rank 1 of slurm 7.1, 2 ranks, has met slurm 7.0, 2 ranks, at 127.0.0.1:{port}")
    with pytest.raises(FbmonError) as taken:
        store_of_job(seat_of(1, 0, MASTER_PORT=port), Waiting(DEADLINE))
    assert taken.value.message == f"the port of 127.0.0.1:{port} is in use on this machine"
    assert "MASTER_PORT" in met.value.hint == taken.value.hint

    ours = store_of_job(seat_of(0, 1, MASTER_PORT=port), Waiting(DEADLINE))
    first.set("word", "ours")
    assert ours.get("word") == b"ours"


def test_a_stranger_who_listens_and_never_answers_is_not_waited_for_longer_than_anybody() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        address = f"127.0.0.1:{stranger.getsockname()[1]}"
        silent = Rank(1, 2, address=address, engine="srun", job="slurm 7.0")
        with pytest.raises(RankLostError, match=f"^an answer from {address} did not come within 1 s\n"):
            store_of_job(silent, Waiting(1))
    with pytest.raises(RankLostError, match=r"^rank 0 at 127\.0\.0\.1:1 \(Connection refused\) did not come within"):
        store_of_job(Rank(1, 2, address="127.0.0.1:1", engine="srun"), Waiting(0.2))


@pytest.fixture
def of_job(tmp_path: Path) -> RunFolder:
    """A run of a job: what its ranks print is nowhere in its folder."""
    folder = RunFolder(tmp_path / "of-job")
    folder.path.mkdir()
    return folder


def test_a_job_that_is_put_back_into_the_queue_remembers_the_best_of_its_earlier_starts(
    of_job: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(of_job.journal)
    events: list[Event] = [
        RunStarted("of-job", "tiny", 8, "1", 1),
        *(StepTaken(step, {"loss": 1.0}) for step in range(1, 6)),
        Validated(5, {"val_accuracy": 0.9}),
        RunEnded("preempted", 75, 5, "by SIGTERM; the state is saved"),
    ]
    for event in events:
        journal.append(event)
    show: Callable[..., None] = _screen(of_job, Ui.PLAIN)

    show(RunResumed("1", 2))
    show(StateRestored(5, "checkpoints/step-00000005"))
    for step in (6, 7, 8):
        show(StepTaken(step, {"loss": 1.0}))
    show(Validated(8, {"val_accuracy": 0.5}))
    show(RunEnded("finished", 0, 8))

    assert "validation accuracy 0.5000 (best 0.9000 at step 5)" in capsys.readouterr().out.splitlines()[-1]


def test_a_log_is_named_only_where_there_is_one(of_job: RunFolder) -> None:
    store = Store()
    assert last_line(store, of_job) == "the run died without saying why"
    store.apply(RunEnded("failed", 1, 3, "a reason"))
    assert last_line(store, of_job).endswith(": a reason")

    of_job.log.touch()
    assert last_line(store, of_job).endswith(f": a reason; log: {of_job.log}")
