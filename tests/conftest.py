"""What many tests need: a recipe of a second, a folder whose runs end with the test, and finished runs."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fbmon import folder as folders
from fbmon.folder import RunFolder
from tests.shell import DEADLINE, Fbmon, end_all, environment
from tests.terminal import Terminal

TINY = """\
# Clipped at first, validated often, done in a second.
name = "tiny"
steps = 40

[data]
dataset = "digits"
limit = 64
val_limit = 32

[model]
name = "resnet8"
width = 4

[gradient]
block = 32

[optimizer]
name = "sgd"
lr = 0.1
momentum = 0.9

[schedule]
name = "cosine"
warmup = 2
horizon = 10

[clip]
norm = 1.0

[validation]
every = 5
"""


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and what was said about it."""

    folder: RunFolder
    said: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="session", autouse=True)
def signals_have_their_effect() -> None:
    """A job in the background of a script is started with these ignored, and so would be all that the tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A recipe file."""
    return write_tiny(tmp_path)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for runs; when the test is over none of them is running, and none of their processes is left."""
    yield tmp_path / "runs"
    end_all(tmp_path / "runs")


@pytest.fixture
def fbmon(runs_dir: Path) -> Fbmon:
    """The command."""
    return Fbmon(runs_dir)


@pytest.fixture
def terminal(runs_dir: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens a terminal and types an fbmon command."""
    opened: list[Terminal] = []

    def open_one(*arguments: str | Path, width: int = 80, height: int = 24, job_control: bool = True) -> Terminal:
        command = [str(argument) for argument in arguments]
        opened.append(Terminal(command, environment(runs_dir), width, height, job_control=job_control))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """The tiny run in plain, json and none mode, all three at a time."""
    home = tmp_path_factory.mktemp("finished")
    recipe = write_tiny(home)
    commands = {
        "plain": ["--no-ui"],
        "json": ["--ui", "json"],
        "none": ["--ui", "none"],
    }
    for name in commands:
        (home / name).mkdir()
    started = {
        name: Fbmon(home / name / "runs").start("run", recipe, "--name", name, *options)
        for name, options in commands.items()
    }
    yield {name: _ended(home / name / "runs", process) for name, process in started.items()}
    for name in commands:
        end_all(home / name / "runs")


def write_tiny(home: Path) -> Path:
    recipe = home / "tiny.toml"
    recipe.write_text(TINY)
    return recipe


def _ended(runs_dir: Path, process: "subprocess.Popen[str]") -> Ended:
    stdout, stderr = process.communicate(timeout=DEADLINE)
    said = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    return Ended(folders.every(runs_dir)[0], said)
