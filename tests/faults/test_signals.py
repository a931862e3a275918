"""Signals as batch systems and service managers send them: to all processes at once, in bursts, and too early."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fbmon.host.signals import Interrupts
from tests.cli.test_signals import start_endless
from tests.gate import Gate
from tests.shell import DEADLINE, Fbmon, last_word, processes, supervisor, trainer, until

INT, TERM, USR1, CONT = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT

# Found before the real module: says that it is there, and waits for a signal, as if the import took long.
WAITING = """\
import sys, time
from pathlib import Path

Path(__file__).with_name("reached").touch()
time.sleep(300)
"""


class Git:
    """Is asked for the commit as soon as there is a folder, and answers when the test wants it to."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        command = home / "git"
        command.write_text(f"#!/bin/sh\ntouch '{home}/asked'\nuntil test -e '{home}/go'; do sleep 0.05; done\n")
        command.chmod(0o755)
        self.variables = {"PATH": f"{home}:{os.environ['PATH']}"}
        self._home = home

    def is_asked(self) -> bool:
        return (self._home / "asked").exists()

    def answer(self) -> None:
        (self._home / "go").touch()


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "git")


@pytest.mark.parametrize(
    ("burst", "states"),
    [
        ([INT], {"stopped"}),
        pytest.param([INT, INT, INT], {"stopped"}, marks=pytest.mark.slow),
        pytest.param([INT, TERM], {"stopped", "preempted"}, marks=pytest.mark.slow),
        pytest.param([TERM, CONT, TERM], {"preempted"}, marks=pytest.mark.slow),
        pytest.param([USR1, TERM], {"preempted"}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "+".join(number.name for number in value) if isinstance(value, list) else "",
)
def test_signals_to_the_client_the_supervisor_and_the_trainer_at_once_save_the_state(
    burst: list[signal.Signals], states: set[str], tiny: Path, fbmon: Fbmon
) -> None:
    screen, folder = start_endless(fbmon, tiny, "--no-ui")
    everybody = [supervisor(folder).pid, trainer(folder).pid, screen.pid]

    for number in burst:
        for process in everybody:
            os.kill(process, number)
    screen.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert ended.state in states
    assert ended.reason.endswith("; the state is saved")
    assert screen.returncode == ended.exit_code == {"stopped": 130, "preempted": 75}[ended.state]
    assert max(path.name for path in folder.checkpoints.glob("step-*")) == f"step-{ended.step:08d}"
    assert processes(folder.path) == []


def test_only_a_sigint_that_comes_later_is_a_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 100.3, 100.9, 101.1])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    interrupts = Interrupts()
    assert [interrupts.is_second() for _ in range(5)] == [False, False, False, False, True]


@pytest.mark.parametrize(("number", "code"), [(TERM, 75), (USR1, 75), (INT, 130)])
def test_a_signal_while_the_command_is_being_imported_ends_it_with_the_code_of_a_run(
    number: signal.Signals, code: int, tiny: Path, fbmon: Fbmon, tmp_path: Path
) -> None:
    path = os.pathsep.join(filter(None, [str(waiting_module(tmp_path, "typer")), os.environ.get("PYTHONPATH")]))
    command = fbmon.start("run", tiny, PYTHONPATH=path)
    until((tmp_path / "modules/reached").exists)

    command.send_signal(number)
    stdout, stderr = command.communicate(timeout=DEADLINE)

    assert (command.returncode, stdout) == (code, "")
    assert stderr == f"fbmon: ended by {number.name}; no run was in progress\n"
    assert not fbmon.runs_dir.exists()


def waiting_module(tmp_path: Path, name: str) -> Path:
    home = tmp_path / "modules"
    home.mkdir()
    (home / f"{name}.py").write_text(WAITING)
    return home


def test_a_signal_before_torch_is_loaded_is_obeyed_without_loading_it(
    tiny: Path, fbmon: Fbmon, git: Git, gate: Gate
) -> None:
    job = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "1"}
    rank = fbmon.start("run", tiny, **job, **git.variables, **gate.variables)
    until(git.is_asked)

    rank.send_signal(TERM)
    git.answer()
    stdout, stderr = rank.communicate(timeout=DEADLINE)

    ended = last_word(fbmon.run_folder())
    assert ended is not None
    assert (rank.returncode, ended.state, stderr) == (75, "preempted", "")
    assert ended.reason == "by SIGTERM, before there was anything new to save"
    assert ended.reason in stdout.splitlines()[-1]


def test_a_signal_that_comes_while_the_inbox_is_looked_into_is_kept() -> None:
    look = """\
import os, signal
from fbmon.process.commands import Commands

class Folder:
    def take(self):
        os.kill(os.getpid(), signal.SIGUSR1)

commands = Commands(Folder())
print(commands.next(), commands.next().command, commands.next())
"""
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (said.stdout, said.stderr) == ("None preempt None\n", "")


def test_a_client_whose_errors_nobody_reads_any_more_still_ends_with_the_code_of_its_run(
    tiny: Path, fbmon: Fbmon, git: Git, gate: Gate
) -> None:
    screen = fbmon.start("run", tiny, "--no-ui", **git.variables, **gate.variables)
    until(git.is_asked)
    assert screen.stderr is not None
    screen.stderr.close()

    screen.send_signal(INT)
    git.answer()

    assert screen.wait(timeout=DEADLINE) == 130
