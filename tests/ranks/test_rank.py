"""Who takes part in a training: devices, places in the jobs of others, and whether all still move."""

import signal

import pynvml
import pytest

from fbmon.errors import UsageError
from fbmon.process.stall import StallWatch
from fbmon.ranks.devices import expand, here, parse
from fbmon.ranks.exit_reason import explain
from fbmon.ranks.heartbeat import Doing, make_heartbeat
from fbmon.ranks.rank import Job, Rank, first_host, job_of, rank_in_job

BUSY, WAITS, AWAY = Doing.COMPUTING, Doing.WAITING, Doing.AWAY


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("auto", "auto"), ("cpu", "cpu"), ("cpu:2", "cpu:2"), ("cuda", "cuda:0"), ("3", "cuda:3"),
     ("0,2", "cuda:0,cuda:2"), ("cuda:1,cuda:0", "cuda:1,cuda:0")],
)  # fmt: skip
def test_devices_have_one_form(asked: str, meant: str) -> None:
    assert parse(asked) == meant


@pytest.mark.parametrize("asked", ["", "cpu:0", "cpu:9999", "0,0", "0,cuda:0", "cpu:2,0", "all", "٣"])
def test_what_is_no_device_is_refused(asked: str) -> None:
    with pytest.raises(UsageError):
        parse(asked)


def drive(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """A driver that knows so many GPUs."""
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: gpus)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda place: place)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda place: f"GPU-{place}")


@pytest.mark.parametrize(
    ("asked", "visible", "error", "hint"),
    [
        ("1", None, "", ""),
        ("0,2", None, "this machine has 2 GPUs", "try --devices 0,1 or --devices auto"),
        ("1", "1", "this machine has 1 GPU that CUDA_VISIBLE_DEVICES='1' leaves visible",
         "try --devices 0 or --devices auto"),
        ("cuda", "", "this machine has no GPUs that CUDA_VISIBLE_DEVICES='' leaves visible", "try --devices cpu"),
        ("cpu:2", "", "", ""),
        ("auto", "", "", ""),
    ],
)  # fmt: skip
def test_a_gpu_that_is_not_there_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, asked: str, visible: str | None, error: str, hint: str
) -> None:
    drive(monkeypatch, gpus=2)
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    if not error:
        assert here(asked, environment) == parse(asked)
        return
    with pytest.raises(UsageError) as refused:
        here(asked, environment)
    assert (refused.value.message, refused.value.hint) == (f"--devices {asked}: {error}", hint)


def test_auto_is_every_gpu_that_cuda_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    drive(monkeypatch, gpus=4)
    assert expand("auto", {}) == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert expand("auto", {"CUDA_VISIBLE_DEVICES": "3,GPU-1,7,0"}) == ["cuda:0", "cuda:1"]  # CUDA stops at the 7


def test_one_rank_a_device() -> None:
    assert expand("cpu:3", {}) == ["cpu", "cpu", "cpu"]
    assert expand("cuda:1,cuda:0", {}) == ["cuda:1", "cuda:0"]
    assert expand("cpu", {}) == ["cpu"]


def test_torchrun_tells_each_process_its_place() -> None:
    environment = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "29500"}
    assert rank_in_job(environment) == Rank(3, 4, 1, "", "a:29500", "torchrun", "torchrun")
    again = environment | {"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": "2"}
    assert rank_in_job(again) == Rank(3, 4, 1, "", "a:29500", "torchrun", "torchrun x", "2")
    with pytest.raises(UsageError):
        rank_in_job(environment | {"RANK": "4"})
    with pytest.raises(UsageError):
        rank_in_job(environment | {"RANK": "one"})


def test_srun_tells_it_too_and_a_batch_script_is_no_rank() -> None:
    script = {"SLURM_JOB_ID": "12345", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
    assert rank_in_job(script) is None
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_PROCID": "2", "SLURM_LOCALID": "0"}
    assert rank_in_job(script | step) == Rank(2, 4, 0, "", f"gpu07:{61_000 + 12345 % 4_000}", "srun", "slurm 12345.0")
    assert rank_in_job(script | step | {"SLURM_STEP_NUM_TASKS": "1"}) is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a", "a"), ("a,b", "a"), ("gpu[01-04,07]", "gpu01"), ("gpu[3,5],cpu1", "gpu3"), ("n[1-2].cluster", "n1.cluster")],
)
def test_the_first_host_of_slurms_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_a_job_keeps_its_name_when_it_is_started_again() -> None:
    assert job_of({}) == Job()
    assert job_of({"SLURM_JOB_ID": "7"}) == Job("slurm 7")
    assert job_of({"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "0"}) == Job("slurm 7")
    assert job_of({"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"}) == Job("slurm 7", restarts=2)
    assert job_of({"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": "1"}) == Job("torchrun x", restarts=1)


def test_of_two_jobs_of_torchrun_without_an_id_none_is_taken_for_the_other() -> None:
    ours = {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "1"}
    first, again, other = (
        job_of(ours | {"TORCHELASTIC_ERROR_FILE": f"/tmp/torchelastic_a/{log}/0/error.json"})
        for log in ("none_x7k2/attempt_0", "none_x7k2/attempt_1", "none_b1c3/attempt_0")
    )
    assert first == again == Job("torchrun none_x7k2", restarts=1)
    assert other.name == "torchrun none_b1c3"
    for nowhere in ("", "/dev/null"):
        assert not job_of(ours | {"TORCHELASTIC_ERROR_FILE": nowhere}).is_restarted
    rank = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    seat = rank_in_job(ours | rank)
    assert seat is not None
    assert seat.job == "torchrun"


def test_what_a_rank_writes_of_itself_the_supervisor_reads() -> None:
    page = make_heartbeat(2)
    assert page.read() == [(0, Doing.PREPARING), (0, Doing.PREPARING)]
    page.write(1, WAITS)
    page.write(1, BUSY)
    assert page.read() == [(0, Doing.PREPARING), (2, BUSY)]


def wait(watch: StallWatch, now: float, seconds: float, slots: list[tuple[int, Doing]]) -> list[int]:
    """What is seen at the end of some seconds in which nothing moves, looked at once a second."""
    for passed in range(1, int(seconds)):
        assert watch.look(now + passed, slots) == []
    return watch.look(now + seconds, slots)


def moving(watch: StallWatch, every: float, blocks: int) -> tuple[float, int]:
    """Two ranks that end a block in turn, without a stall; the time and the count after it."""
    for count in range(1, blocks + 1):
        assert watch.look(count * every, [(count, BUSY), (count, WAITS)]) == []
    return blocks * every, blocks


def test_the_rank_that_the_others_wait_for_is_the_stuck_one() -> None:
    watch = StallWatch()
    now, count = moving(watch, every=1.0, blocks=5)
    slots = [(count + 1, WAITS), (count, BUSY)]
    assert watch.look(now, slots) == []
    assert wait(watch, now, 61, slots) == [1]
    assert watch.silent_for(now + 61) == 61


def test_who_has_long_blocks_is_given_ten_times_as_long() -> None:
    watch = StallWatch()
    slots = [(1, BUSY), (1, WAITS)]
    for second in range(100):
        slots = [(second // 20, BUSY), (second // 20, WAITS)]
        assert watch.look(second, slots) == []
    assert wait(watch, 80, 201, slots) == [0]


def test_the_first_block_and_a_slow_save_are_given_half_an_hour() -> None:
    watch = StallWatch()
    assert watch.look(0, [(1, BUSY), (1, WAITS)]) == []
    assert wait(watch, 0, 1801, [(1, BUSY), (1, WAITS)]) == [0]
    saving = StallWatch()
    now, count = moving(saving, every=1.0, blocks=5)
    slots = [(count + 1, AWAY), (count, WAITS)]
    assert saving.look(now, slots) == []
    assert wait(saving, now, 1801, slots) == [0]


def test_a_job_that_was_suspended_as_a_whole_is_not_stuck_when_it_wakes() -> None:
    watch = StallWatch()
    now, count = moving(watch, every=1.0, blocks=5)
    slots = [(count, BUSY), (count, WAITS)]
    assert wait(watch, now, 30, slots) == []
    later = now + 30 + 3600
    assert watch.look(later, slots) == []
    assert wait(watch, later, 31, slots) == [0]


def test_while_data_are_loaded_there_is_no_limit() -> None:
    assert wait(StallWatch(), 0, 10_000, [(0, Doing.PREPARING)]) == []


def test_where_all_wait_for_each_other_all_are_named() -> None:
    watch = StallWatch(5)
    now, count = moving(watch, every=0.1, blocks=5)
    assert wait(watch, now, 6, [(count, WAITS), (count, WAITS)]) == [0, 1]


@pytest.mark.parametrize(
    ("code", "is_accident"), [(-signal.SIGKILL, True), (1, True), (0, False), (2, False), (3, False), (6, False)]
)
def test_only_accidents_are_worth_a_restart(code: int, is_accident: bool) -> None:
    """Not a recipe that is faulty, a run that is not finite, or a disk that is full."""
    assert explain("rank 1", code).is_accident == is_accident


def test_a_rank_killed_by_a_signal_that_has_no_name_is_told_by_its_number() -> None:
    assert explain("rank 1", -signal.SIGTERM).reason == "rank 1 was killed by SIGTERM"
    assert explain("rank 1", -(signal.SIGRTMIN + 3)).reason == f"rank 1 was killed by signal {signal.SIGRTMIN + 3}"
