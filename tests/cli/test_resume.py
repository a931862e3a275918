"""Runs that are killed, preempted or short of disk, and go on: the same bits as if nothing had happened."""

import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import tomli

from fbmon.events import CheckpointFailed, RunResumed, RunStarted, StateRestored, StepTaken
from fbmon.run import RunFolder
from fbmon.store.store import Store
from tests.conftest import Ended
from tests.shell import (
    DEADLINE,
    PROMPTLY,
    Fbmon,
    end_all,
    environment,
    last_tensors,
    last_word,
    processes,
    steps_taken,
    supervisor,
    told,
    trainer,
    until,
    wait_for_steps,
)


def fold(folder: RunFolder) -> Store:
    store = Store()
    for event in told(folder):
        store.apply(event)
    return store


@pytest.fixture
def undisturbed(finished: dict[str, Ended]) -> RunFolder:
    """The tiny run as it is when nobody interrupts it."""
    return finished["plain"].folder


def wait_for_attempt(folder: RunFolder, resumed: int, steps: int) -> None:
    """Wait until the run, resumed so many times, has taken so many steps since."""

    def is_there() -> bool:
        kinds = [type(event) for event in told(folder)]
        if kinds.count(RunResumed) < resumed:
            return False
        begin = max((place for place, kind in enumerate(kinds) if kind is RunResumed), default=0)
        return kinds[begin:].count(StepTaken) >= steps

    until(is_there)


def assert_same(folder: RunFolder, whole: RunFolder) -> None:
    """Weights and optimizer, losses and accuracies, to the last bit; every line of the journal whole and in order."""
    assert last_tensors(folder) == last_tensors(whole)
    found, expected = fold(folder), fold(whole)
    for name in ("loss", "grad_norm", "val_loss", "val_accuracy"):
        assert found.series[name].steps.tolist() == expected.series[name].steps.tolist()
        assert found.series[name].values.tolist() == expected.series[name].values.tolist()
    assert found.best == expected.best
    assert not [note.text for note in found.notes if "reproducible" in note.text]
    events = told(folder)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    times = [event.elapsed for event in events]
    assert times == sorted(times)


def test_killed_again_and_again_a_run_ends_as_one_that_was_left_alone(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    """The trainer or its supervisor, after a random number of steps; checkpoints after every third."""
    draw = random.Random(7)
    fbmon("run", tiny, "--set", "checkpoint.every=3", "--detach")
    folder = fbmon.run_folder()
    refused = fbmon("resume")  # it is running
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"fbmon: {folder.name} is running\n       see it with `fbmon watch {folder.name}`\n"
    for kills, victim in enumerate((trainer, supervisor, trainer)):
        process = victim(folder)
        wait_for_attempt(folder, kills, steps=draw.randrange(1, 6))
        process.kill()
        until(lambda: not processes(folder.path), PROMPTLY)
        with folder.journal.open("ab") as journal:  # as if it had died in the middle of a line
            journal.write(b'{"kind":"StepTaken","seq":')
        resumed = fbmon("resume", "--detach")
        assert (resumed.returncode, resumed.stderr) == (0, "")
    watched = fbmon("watch", "--no-ui")

    assert watched.returncode == 0
    assert watched.stdout.splitlines()[-1].startswith("finished after step 40 of 40 in ")
    assert sum(isinstance(event, RunResumed) for event in told(folder)) == 3
    assert max(event.step for event in told(folder) if isinstance(event, StateRestored)) >= 3
    assert_same(folder, undisturbed)


def test_a_finished_run_says_so(undisturbed: RunFolder, fbmon: Fbmon) -> None:
    said = fbmon("resume", undisturbed.path)

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == (
        f"{undisturbed.name} has already finished, after step 40; see it with: fbmon watch {undisturbed.typed}\n"
    )


def test_a_job_that_slurm_puts_back_into_its_queue_goes_on_with_its_run(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    job = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}
    first = fbmon.start("run", tiny, "--no-ui", **job)
    folder = fbmon.run_folder()
    wait_for_steps(folder, 2)
    first.send_signal(signal.SIGUSR1)
    first.communicate(timeout=DEADLINE)
    again = fbmon("run", tiny, "--no-ui", SLURM_RESTART_COUNT="1", **job)

    assert (first.returncode, again.returncode) == (75, 0)
    assert [path.name for path in fbmon.runs_dir.iterdir()] == [folder.name]
    assert f"run {folder.name} goes on\n" in again.stdout
    assert re.search(r"^resumed from step \d+$", again.stdout, re.MULTILINE)
    assert_same(folder, undisturbed)


def test_a_full_disk_stops_no_training_and_is_told(tiny: Path, fbmon: Fbmon, undisturbed: RunFolder) -> None:
    """No file may be longer than 48 KiB, which is less than a checkpoint and more than the journal."""
    command = [sys.executable, "-m", "fbmon", "run", str(tiny), "--no-ui", "--set", "checkpoint.every=5"]
    limited = subprocess.run(
        command,
        cwd=fbmon.runs_dir.parent,
        env=environment(fbmon.runs_dir),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (48 * 1024, 48 * 1024)),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    folder = fbmon.run_folder()
    ended = last_word(folder)

    assert ended is not None
    assert (limited.returncode, ended.state, ended.step) == (6, "failed", 40)
    assert ended.reason == "the state after step 40 could not be saved: File too large"
    assert [event.step for event in told(folder) if isinstance(event, CheckpointFailed)] == [5]
    assert "step 5 could not be saved: File too large; trying again\n" in limited.stdout
    assert list(folder.checkpoints.iterdir()) == []

    resumed = fbmon("resume", "--no-ui")  # with space again
    assert resumed.returncode == 0
    assert "resumed from step 0\n" in resumed.stdout
    assert_same(folder, undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB for the runs."""
    place = tmp_path / "runs"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs may be mounted here")
    yield place
    end_all(place)
    subprocess.run(["umount", place], check=True)


def rests(process: psutil.Process) -> bool:
    """Whether a process has nothing to compute for two seconds."""
    before = process.cpu_times().user
    time.sleep(2)
    return process.cpu_times().user - before < 0.2


@pytest.mark.slow
def test_a_disk_that_fills_up_and_is_emptied_again_costs_lines_of_the_journal_and_no_bit(
    tiny: Path, small_disk: Path, undisturbed: RunFolder
) -> None:
    fbmon = Fbmon(small_disk)
    fbmon("run", tiny, "--set", "checkpoint.every=5", "--set", "validation.every=1", "--detach")
    folder = fbmon.run_folder()
    until(lambda: told(folder))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024))
    until(lambda: rests(trainer(folder)))  # it tries to save its last state again and again
    assert steps_taken(folder) < 40  # most of it could not be written down
    filler.unlink()
    until(lambda: not folder.is_alive())

    resumed = fbmon("resume", "--no-ui")
    assert resumed.returncode == 0
    assert last_tensors(folder) == last_tensors(undisturbed)


@pytest.mark.slow
def test_a_supervisor_that_stands_still_holds_up_no_step(tiny: Path, fbmon: Fbmon, undisturbed: RunFolder) -> None:
    fbmon("run", tiny, "--detach")
    folder = fbmon.run_folder()
    until(lambda: any(isinstance(event, RunStarted) for event in told(folder)))
    process = supervisor(folder)
    process.send_signal(signal.SIGSTOP)
    until(lambda: steps_taken(folder) == 40)
    process.send_signal(signal.SIGCONT)
    until(lambda: not folder.is_alive())
    assert_same(folder, undisturbed)


@pytest.mark.slow
def test_a_command_to_the_trainer_that_died_does_not_reach_the_next_one(
    tiny: Path, fbmon: Fbmon, undisturbed: RunFolder
) -> None:
    fbmon("run", tiny, "--detach")
    folder = fbmon.run_folder()
    until(lambda: any(isinstance(event, RunStarted) for event in told(folder)))
    supervisor(folder).kill()
    until(lambda: not processes(folder.path), PROMPTLY)
    folder.put("stop", "a screen")

    assert fbmon("resume", "--no-ui").returncode == 0
    assert [event.step for event in told(folder) if isinstance(event, StateRestored)] == [0]
    assert sum(isinstance(event, StepTaken) for event in told(folder)) == 40
    assert_same(folder, undisturbed)


def test_a_finished_run_trains_on_with_the_bits_of_one_that_was_longer_from_the_start(tiny: Path, fbmon: Fbmon) -> None:
    for name, steps in (("short", 4), ("long", 8)):
        assert fbmon("run", tiny, "--no-ui", "--devices", "cpu", "--name", name, "--steps", str(steps)).returncode == 0
    longer = fbmon("resume", "short", "--no-ui", "--steps", "8")
    assert longer.returncode == 0, longer.stderr
    assert longer.stderr.startswith(
        "the schedule is kept: the learning rate is 0.09755 in step 5 and 0.06545 in step 8\n"
    )
    assert "8 steps instead of 4" in longer.stdout
    short, long = (RunFolder(next(fbmon.runs_dir.glob(f"{name}-*"))) for name in ("short", "long"))
    assert last_tensors(short) == last_tensors(long)
    for arguments, words in (
        (["--steps", "8"], "short-.* has already finished, after step 8"),
        (["--steps", "5"], "--steps 5: short-.* has taken 8 steps"),
        (["--stretch"], "--stretch needs --steps"),
    ):
        said = fbmon("resume", "short", "--no-ui", *arguments)
        assert re.search(words, said.stdout + said.stderr), said
    assert fbmon("runs", "--json").stdout.count('"steps": 8') == 2


def test_a_stretched_schedule_is_said_and_kept_so_that_the_run_can_be_repeated(tiny: Path, fbmon: Fbmon) -> None:
    assert fbmon("run", tiny, "--no-ui", "--devices", "cpu", "--name", "short", "--steps", "4").returncode == 0
    longer = fbmon("resume", "short", "--no-ui", "--steps", "8", "--stretch")
    assert longer.stderr.startswith(
        "the schedule is stretched 2 times: the learning rate is 0.09938 instead of 0.09755 in step 5, "
        "and 0.09045 in step 8\n"
    )
    folder = RunFolder(next(fbmon.runs_dir.glob("short-*")))
    assert tomli.loads(folder.resolved.read_text())["schedule"]["stretches"] == [[4.0, 2.0]]
    again = fbmon("run", folder.resolved, "--no-ui", "--devices", "cpu", "--name", "again")
    assert again.returncode == 0, again.stderr
    assert last_tensors(RunFolder(next(fbmon.runs_dir.glob("again-*")))) == last_tensors(folder)
    assert "the same bits" in fbmon("verify", "short", "--devices", "cpu", "--steps", "1").stdout
    twice = fbmon("resume", "short", "--no-ui", "--steps", "16", "--stretch")
    assert twice.returncode == 0, twice.stderr
    assert tomli.loads(folder.resolved.read_text())["schedule"]["stretches"] == [[4.0, 2.0], [8.0, 4.0]]


def test_a_run_begins_with_the_weights_of_another_and_keeps_them(tiny: Path, fbmon: Fbmon) -> None:
    settings = ["--no-ui", "--devices", "cpu", "--set", "checkpoint.every=2", "--set", "checkpoint.keep=9"]
    assert fbmon("run", tiny, "--name", "first", "--steps", "6", *settings).returncode == 0
    first = RunFolder(next(fbmon.runs_dir.glob("first-*")))
    said = {}
    for name, devices in (("one", "cpu"), ("two", "cpu:2")):
        begun = fbmon("run", tiny, "--name", name, "--steps", "4", "--no-ui", "--from", "first@4", "--devices", devices)
        assert begun.returncode == 0, begun.stderr
        said[name] = begun.stdout
    one, two = (RunFolder(next(fbmon.runs_dir.glob(f"{name}-*"))) for name in ("one", "two"))
    assert last_tensors(one) == last_tensors(two)
    assert f"begun with the weights of {first.name}@4; all else is new" in said["one"].splitlines()[0]
    losses = [
        [event.values["loss"] for event in told(folder) if isinstance(event, StepTaken)] for folder in (first, one)
    ]
    assert losses[1][0] == losses[0][4], "at the weights after four steps"
    shutil.rmtree(first.path)
    assert "the same bits" in fbmon("verify", one.name, "--devices", "cpu", "--steps", "4").stdout
    shutil.rmtree(one.checkpoints)
    again = fbmon("resume", one.name, "--no-ui", "--steps", "5")
    assert again.returncode == 0, again.stderr
    assert f"{one.name},{first.name}@4" in fbmon("compare", "one", "--columns", "run,origin", "--csv").stdout
    one.origin.write_bytes(one.origin.read_bytes()[:-1] + b"?")
    shutil.rmtree(one.checkpoints)
    refused = fbmon("resume", one.name, "--no-ui", "--steps", "6")
    assert "origin.safetensors: changed since the run began, by its SHA-256" in refused.stdout


@pytest.mark.parametrize(
    ("origin", "settings", "code", "words"),
    [
        ("frist", [], 2, r"frist: no such run in .*\n *did you mean first"),
        ("first@9", [], 2, "--from first@9: first-.* has no checkpoint of step 9, but of 1, 2"),
        ("first@best", ["model.width=8"], 2, r"stem.0.weight is float32 \(4, .* there and float32 \(8, .* here"),
    ],
)
def test_weights_that_are_none_or_do_not_fit_are_refused(
    origin: str, settings: list[str], code: int, words: str, tiny: Path, fbmon: Fbmon
) -> None:
    assert fbmon("run", tiny, "--name", "first", "--steps", "2", "--no-ui", "--devices", "cpu").returncode == 0
    given = [word for setting in settings for word in ("--set", setting)]
    refused = fbmon("run", tiny, "--name", "next", "--no-ui", "--devices", "cpu", "--from", origin, *given)
    assert refused.returncode == code, refused.stdout + refused.stderr
    assert re.search(words, refused.stdout + refused.stderr), refused.stdout + refused.stderr
