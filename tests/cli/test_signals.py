"""What ends a run and what does not: signals to its screen, kills of each of its processes, a reader that leaves."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fbmon.events import CommandTaken, PhaseEntered
from fbmon.run import RunFolder
from tests.gate import Gate
from tests.shell import (
    DEADLINE,
    ENDLESS,
    PROMPTLY,
    Fbmon,
    awaits,
    last_word,
    processes,
    stand_still,
    steps_taken,
    supervisor,
    tells_what_signals_wait,
    told,
    trainer,
    until,
    wait_for_steps,
)

pytestmark = pytest.mark.usefixtures("real_processes")

STOPPING = "stopping at the next block and saving; press Ctrl-C again to stop at once without saving\n"


def start_endless(fbmon: Fbmon, recipe: Path, *options: str) -> "tuple[subprocess.Popen[str], RunFolder]":
    """A run in plain mode that takes steps and would take them for a quarter of an hour."""
    screen = fbmon.start("run", recipe, "--steps", ENDLESS, *options)
    folder = fbmon.run_folder()
    wait_for_steps(folder)
    return screen, folder


def saved_steps(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.checkpoints.glob("*"))


@pytest.mark.parametrize(
    ("number", "code", "state", "answer"),
    [(signal.SIGINT, 130, "stopped", STOPPING), (signal.SIGTERM, 75, "preempted", "")],
)
def test_a_signal_to_the_screen_ends_the_run_after_its_state_is_saved(
    number: signal.Signals, code: int, state: str, answer: str, tiny: Path, fbmon: Fbmon
) -> None:
    screen, folder = start_endless(fbmon, tiny)

    screen.send_signal(number)
    stdout, stderr = screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (screen.returncode, stderr) == (code, answer)
    assert (ended.state, ended.exit_code, ended.step) == (state, code, steps_taken(folder))
    assert saved_steps(folder)[-1] == f"step-{ended.step:08d}"
    assert re.fullmatch(
        rf"{state} after step {ended.step} of 100000 in \S+( s)?: "
        rf"by {number.name}; the state is saved; go on with: fbmon resume {folder.name}",
        stdout.splitlines()[-1],
    )
    assert processes(folder.path) == []


@tells_what_signals_wait
def test_a_second_interrupt_stops_at_once(tiny: Path, fbmon: Fbmon, gate: Gate) -> None:
    screen = fbmon.start("run", tiny, "--steps", ENDLESS, **gate.variables)
    folder = fbmon.run_folder()
    until(lambda: any(isinstance(event, PhaseEntered) for event in told(folder)))
    training = trainer(folder)
    stand_still(training)

    screen.send_signal(signal.SIGINT)
    until(lambda: awaits(training, signal.SIGINT))
    time.sleep(1.1)  # those that come within a second are one
    screen.send_signal(signal.SIGINT)
    stdout, stderr = screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (screen.returncode, stderr) == (130, STOPPING)
    assert (ended.state, ended.step, ended.reason) == ("stopped", 0, "at once, by a second Ctrl-C; nothing was saved")
    assert "training" not in stdout.splitlines()
    assert re.fullmatch(
        r"stopped after step 0 of 100000 in \S+( s)?: at once, by a second Ctrl-C; nothing was saved; "
        r"go on with: fbmon resume " + folder.name,
        stdout.splitlines()[-1],
    )


def test_an_interrupt_in_the_first_moment_is_not_lost(tiny: Path, fbmon: Fbmon) -> None:
    screen = fbmon.start("run", tiny, "--steps", ENDLESS, OMP_NUM_THREADS="2")  # a thread of numpy may take signals
    folder = fbmon.run_folder()
    until(folder.log.exists)  # and so, in a moment, the supervisor

    screen.send_signal(signal.SIGINT)
    _, stderr = screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (screen.returncode, stderr, ended.state) == (130, STOPPING, "stopped")


def test_an_interrupt_while_the_folder_is_made_leaves_none_without_its_run(
    tiny: Path, fbmon: Fbmon, tmp_path: Path
) -> None:
    git = tmp_path / "git"  # which is asked for the commit as soon as there is a folder
    git.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path))}/asked\nsleep 1\n")
    git.chmod(0o755)
    screen = fbmon.start("run", tiny, "--steps", ENDLESS, PATH=f"{tmp_path}:{os.environ['PATH']}")
    until((tmp_path / "asked").exists)

    screen.send_signal(signal.SIGINT)
    _, stderr = screen.communicate(timeout=DEADLINE)

    ended = last_word(fbmon.run_folder())
    assert ended is not None
    assert (screen.returncode, stderr, ended.state) == (130, STOPPING, "stopped")


def test_the_death_of_the_trainer_is_told_with_its_reason(tiny: Path, fbmon: Fbmon) -> None:
    screen, folder = start_endless(fbmon, tiny)
    folder.put("pause", "the test")
    until(lambda: any(isinstance(event, CommandTaken) for event in told(folder)))

    trainer(folder).kill()
    ended = until(lambda: last_word(folder), PROMPTLY)
    stdout, stderr = screen.communicate(timeout=DEADLINE)

    assert (ended.state, ended.exit_code, ended.step) == ("killed", 4, steps_taken(folder))
    assert ended.reason == "the trainer was killed by SIGKILL"
    assert (screen.returncode, stderr) == (4, "")
    assert re.fullmatch(
        rf"killed after step {ended.step} of 100000 in \S+( s)?( \(.* paused\))?: the trainer was killed by SIGKILL "
        rf"\(often because the system ran out of memory[^)]*\); log: {re.escape(str(folder.log))}",
        stdout.splitlines()[-1],
    )
    assert processes(folder.path) == []


def test_the_trainer_dies_with_its_supervisor_and_the_screen_says_that_the_run_is_gone(
    tiny: Path, fbmon: Fbmon
) -> None:
    screen, folder = start_endless(fbmon, tiny)

    supervisor(folder).kill()
    until(lambda: not processes(folder.path), PROMPTLY)
    stdout, stderr = screen.communicate(timeout=DEADLINE)

    assert (screen.returncode, stderr) == (4, "")
    assert stdout.splitlines()[-1] == f"the run died without saying why; its log: {folder.log}"
    assert re.search(rf"^{folder.name} +killed +\d+/100000 ", fbmon("runs").stdout, re.MULTILINE)


def test_a_reader_that_has_seen_enough_ends_neither_the_run_nor_in_a_traceback(tiny: Path, fbmon: Fbmon) -> None:
    screen = fbmon.start("run", tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    assert screen.stdout is not None
    assert screen.stderr is not None

    assert screen.stdout.readline() == f"run {folder.name}: recipe tiny, folder {folder.path}\n"
    screen.stdout.close()  # as `| head -1` does

    assert screen.wait(timeout=DEADLINE) == 0
    assert screen.stderr.read() == ""
    wait_for_steps(folder)
    assert folder.is_alive()


def test_a_run_outlives_its_killed_screen_and_is_watched_from_its_first_step_to_its_end(
    tiny: Path, fbmon: Fbmon, gate: Gate
) -> None:
    screen = fbmon.start("run", tiny, **gate.variables)
    folder = fbmon.run_folder()
    until(lambda: any(isinstance(event, PhaseEntered) for event in told(folder)))
    for process in (trainer(folder), supervisor(folder)):
        process.send_signal(signal.SIGHUP)
    screen.kill()
    assert screen.wait(timeout=DEADLINE) == -signal.SIGKILL
    gate.open()

    watched = fbmon("watch", "--no-ui")

    lines = watched.stdout.splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert (watched.returncode, watched.stderr) == (0, "")
    assert lines[0] == f"run {folder.name}: recipe tiny, folder {folder.path}"
    assert steps[0].startswith("step  1/40  ")
    assert steps[-1].startswith("step 40/40  ")
    assert lines[-1].startswith("finished after step 40 of 40 in ")
    assert processes(folder.path) == []
