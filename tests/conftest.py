"""What many tests need: a recipe of a second, a folder whose runs end with the test, and finished runs."""

import fcntl
import gc
import inspect
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from fbmon import run as folders
from fbmon.host.limits import cores
from fbmon.run import RunFolder
from tests import forks
from tests.gate import Gate
from tests.shell import DEADLINE, Fbmon, be_a_typical_shell, end_all, environment
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


SLOW = [hypothesis.HealthCheck.too_slow]
NEEDS_TORCH = re.compile(
    r"^(?:import|from) (?:torch|fbmon\.(?:train|analysis\.worker)|benchmarks|tests\.forks)\b", re.MULTILINE
)
START_FBMON = {"fbmon", "terminal", "finished", "tiny", "real_processes"}
MODES = {"plain": ["--no-ui"], "json": ["--ui", "json"], "none": ["--ui", "none"]}


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and what was said about it."""

    folder: RunFolder
    said: "subprocess.CompletedProcess[str]"


def pytest_configure(config: pytest.Config) -> None:
    """Before Textual and Rich are imported, which look at the variables once. Draws by lot are always the same."""
    if not __debug__:
        raise pytest.UsageError("python -O and PYTHONOPTIMIZE leave out what the tests assert")
    be_a_typical_shell()
    if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers have that of their controller
        config.add_cleanup(forks.start())
    hypothesis.settings.register_profile(
        "any machine", deadline=None, derandomize=True, suppress_health_check=SLOW, database=None
    )
    hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores, at most eight: some test always waits for a screen or a process."""
    return min(cores(), 7) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="only tests that start no fbmon, drive no screen and import no torch"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Quick tests are not held up by the import of torch: files that need it are not imported, nor are folders."""
    read_first = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    if not config.getoption("quick") or read_first.suffix != ".py" or not read_first.exists():
        return None
    return True if NEEDS_TORCH.search(read_first.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not quick: tests that start fbmon have a fixture for it, those that drive a screen await it."""
    if config.getoption("quick"):
        slow = {item for item in items if starts_fbmon(item) or drives_a_screen(item)}
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=list(slow))


def starts_fbmon(item: pytest.Item) -> bool:
    return not START_FBMON.isdisjoint(getattr(item, "fixturenames", ()))


def drives_a_screen(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function)


def pytest_collection_finish() -> None:
    """What is imported by now, torch above all, stays: a search for garbage need not go through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is measured of this machine while it tests, is neither taken from the user's cache nor kept there."""
    os.environ["XDG_CACHE_HOME"] = str(of_all_workers(tmp_path_factory) / "cache")


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
def real_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what the trainer does by itself when it, or its supervisor, is killed or stopped: it is no fork."""
    monkeypatch.delenv(forks.VARIABLE, raising=False)


@pytest.fixture
def fbmon(runs_dir: Path) -> Fbmon:
    """The command."""
    return Fbmon(runs_dir)


@pytest.fixture
def terminal(runs_dir: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens a terminal and types an fbmon command."""
    opened: list[Terminal] = []

    def open_one(
        *arguments: str | Path, width: int = 80, height: int = 24, job_control: bool = True, **variables: str
    ) -> Terminal:
        command = [str(argument) for argument in arguments]
        opened.append(Terminal(command, environment(runs_dir) | variables, width, height, job_control=job_control))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Torch is not imported before the test opens it."""
    return Gate(tmp_path / "gate")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """The tiny run in plain, json and none mode, all three at a time; trained once for all workers of pytest."""
    home = of_all_workers(tmp_path_factory) / "finished"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            train_in_all_modes(home)
            (home / "done").touch()
    return {name: read_ended(home / name) for name in MODES}


def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which each worker of pytest-xdist has its own; the only one's where there are none."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def train_in_all_modes(home: Path) -> None:
    recipe = write_tiny(home)
    for name in MODES:
        (home / name).mkdir()
    started = {
        name: Fbmon(home / name / "runs").start("run", recipe, "--name", name, *options)
        for name, options in MODES.items()
    }
    for name, process in started.items():
        stdout, stderr = process.communicate(timeout=DEADLINE)
        (home / name / "said.json").write_text(json.dumps([process.args, process.returncode, stdout, stderr]))
    for name in MODES:
        end_all(home / name / "runs")


def read_ended(home: Path) -> Ended:
    said = subprocess.CompletedProcess[str](*json.loads((home / "said.json").read_text()))
    return Ended(folders.every(home / "runs")[0], said)


def write_tiny(home: Path) -> Path:
    recipe = home / "tiny.toml"
    recipe.write_text(TINY)
    return recipe
