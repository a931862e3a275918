"""Text from recipes, journals and file names reaches the terminal as text: it steers nothing and hides nothing."""

import fcntl
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tomli_w
from msgspec.structs import replace

from fbmon.events import (
    CheckpointSaved,
    CommandTaken,
    DeviceSampled,
    Event,
    NonFiniteFound,
    PhaseEntered,
    RunEnded,
    RunRestarted,
    RunStarted,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.run import RunFolder, as_path
from fbmon.run.journal import Journal, Tail
from tests.conftest import TINY, Ended
from tests.shell import Fbmon
from tests.terminal import Terminal

# A window title, a colour, a link, a C1 control, a reversal of the writing direction, a bell; and markup of Rich.
ATTACK = "a\x1b]0;owned\x07\x1b[31m\x1b]8;;file:x\x1b\\\x9b31m\u202e\r\b[red]b[/red][/foo][link=file:x]c"
HARMLESS = (
    "a\ufffd]0;owned\ufffd\ufffd[31m\ufffd]8;;file:x\ufffd\\\ufffd31m\ufffd\ufffd\ufffd[red]b[/red][/foo][link=file:x]c"
)
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile(finished: dict[str, Ended], runs_dir: Path) -> RunFolder:
    """A run in a folder of an evil name, whose every text is evil."""
    folder = RunFolder(runs_dir / ATTACK.replace("/", "|"))
    shutil.copytree(finished["plain"].folder.path, folder.path)
    folder.journal.unlink()
    journal = Journal(folder.journal)
    journal.append(RunStarted(ATTACK, ATTACK, 3, ATTACK, 1))
    journal.append(PhaseEntered("training"))
    journal.append(TrainingStarted(3, 1, 1, 1, 1, ATTACK, ATTACK))
    journal.append(NonFiniteFound(1, [ATTACK]))
    journal.append(RunRestarted(1, ATTACK, 1, 2))
    journal.append(RunEnded("failed", 1, 0, ATTACK, ATTACK))
    journal.close()
    telemetry = Journal(folder.telemetry)
    telemetry.append(DeviceSampled(ATTACK, 50.0, 1.0, 2.0))
    telemetry.close()
    return folder


def test_a_run_full_of_steering_text_is_listed_compared_and_watched_as_plain_text(
    hostile: RunFolder, fbmon: Fbmon
) -> None:
    for command in (["runs"], ["compare"], ["watch", "--no-ui"], ["stop", hostile.name]):
        said = fbmon(*command)

        assert not STEERING.search(said.stdout + said.stderr), command
    lines = fbmon("watch", "--no-ui").stdout.splitlines()
    assert lines[0].startswith(f"run {HARMLESS}: recipe {HARMLESS}, folder ")
    assert lines[3] == f"not finite at step 1: {HARMLESS}"
    assert f": {HARMLESS} ({HARMLESS}); log: " in lines[-1]


def test_a_recipe_file_of_a_steering_name_is_named_in_plain_text(tmp_path: Path, fbmon: Fbmon) -> None:
    file = tmp_path / ATTACK.replace("/", "|")

    for text in (TINY, "steps = 0", "=", f"# {ATTACK}\n"):
        file.write_text(text)
        for command in ("check", "show"):
            said = fbmon("recipe", command, file)

            assert not STEERING.search(said.stdout + said.stderr), command


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", ATTACK],
        ["run", "quickstart", "--name", ATTACK],
        ["run", "quickstart", "--devices", ATTACK],
        ["run", "quickstart", "--set", ATTACK],
        ["run", "quickstart", "--set", f"optimizer.lr={ATTACK}"],
        ["run", "quickstart", "--steps", ATTACK],
        ["run", "quickstart", "--ui", ATTACK],
        ["watch", ATTACK],
        ["stop", ATTACK],
        ["runs", "--runs-dir", ATTACK],
        [ATTACK],
    ],
    ids=lambda arguments: " ".join(arguments).replace(ATTACK, "ATTACK"),
)
def test_a_steering_argument_is_answered_in_plain_text(arguments: list[str], fbmon: Fbmon) -> None:
    said = fbmon(*arguments)

    assert said.stdout + said.stderr
    assert not STEERING.search(said.stdout + said.stderr)
    assert not fbmon.runs_dir.exists()


# What a screen writes between its texts: cursor, colours, modes, questions to the terminal; the shape of the pointer.
# Of a screen that is killed while it writes, half of one may stand before the first of the keeper.
SCREEN_CODES = re.compile(
    r"\x1b(\[[0-9;?<>=$]*[A-Za-z]|[78\\]|\]22;\w*\x07)|\x1b(\[[0-9;?<>=$]*|\](2(2(;\w*)?)?)?)?(?=\x1b\\)"
)


def told(ended: bool) -> list[Event]:
    """Every event that carries text, evil everywhere."""
    events: list[Event] = [
        RunStarted(ATTACK, ATTACK, 3, ATTACK, 1),
        PhaseEntered("training"),
        TrainingStarted(3, 1, 1, 1, 1, ATTACK, ATTACK, target_val_accuracy=0.5, hosts=[ATTACK]),
        StepTaken(1, {"loss": 1.0, ATTACK: 2.0}, [2.0, 1.0]),
        Validated(1, {"val_accuracy": 0.5, ATTACK: 2.0}),
        CheckpointSaved(1, ATTACK),
        NonFiniteFound(2, [ATTACK]),
        CommandTaken("stop", ATTACK),
        RunRestarted(1, ATTACK, 1, 2),
    ]
    return [*events, RunEnded("failed", 1, 1, ATTACK, ATTACK)] if ended else events


@pytest.fixture
def hostile_alive(runs_dir: Path) -> Iterator[RunFolder]:
    """An evil run that seems to be running."""
    folder = RunFolder(runs_dir / ATTACK.replace("/", "|"))
    folder.inbox.mkdir(parents=True)
    folder.meta.write_text("{}")
    write(folder, told(ended=False))
    lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield folder
    os.close(lock)


def write(folder: RunFolder, events: list[Event]) -> None:
    for path, some in ((folder.journal, events), (folder.telemetry, [DeviceSampled(ATTACK, 50.0, 1.0, 2.0)])):
        path.unlink(missing_ok=True)
        journal = Journal(path)
        for event in some:
            journal.append(event)
        journal.close()


def assert_nothing_steers(screen: Terminal) -> None:
    texts = SCREEN_CODES.sub("", screen.output.decode(errors="replace"))  # half a letter, as of a code
    assert "owned" in texts
    assert not STEERING.search(texts.replace("\r", ""))


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=str)
def test_a_running_screen_shows_steering_text_as_text_asks_about_it_and_names_it_as_it_dies(
    size: tuple[int, int], hostile_alive: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("watch", hostile_alive.path, width=size[0], height=size[1])
    screen.until("step 1/3")
    screen.press("q")
    screen.until("It goes on without this screen")
    screen.press("s")
    screen.until("Stopping at the next block")
    screen.screen.send_signal(signal.SIGKILL)
    screen.wait()

    assert_nothing_steers(screen)
    assert HARMLESS.replace("/", "|") in screen.output.rpartition(b"fbmon watch ")[2].decode()


def test_other_runs_full_of_steering_text_are_listed_explained_and_laid_over_as_text(
    hostile_alive: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    other = RunFolder(hostile_alive.path.with_name(f"b{hostile_alive.name}"))
    other.path.mkdir()
    other.meta.write_text("{}")
    write(other, told(ended=True))
    other.resolved.write_text(tomli_w.dumps({"name": ATTACK, "optimizer": {"name": ATTACK, ATTACK: ATTACK}}))
    screen = terminal("watch", hostile_alive.path, width=200, height=60)
    screen.until("step 1/3")
    screen.press("o")
    screen.until("its settings")
    screen.press(" \r")
    screen.until(r"△ ba.*optimizer\.name a")
    screen.press("z")
    screen.until(r"loss +━ train 1 +△ ba")
    screen.press("q")
    screen.until("It goes on without this screen")
    screen.press("l")

    assert screen.wait() == 0
    assert_nothing_steers(screen)  # of a screen that still draws, half a code may be read


def test_leaving_a_screen_names_the_run_in_plain_text(
    hostile_alive: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("watch", hostile_alive.path)
    screen.until("step 1/3")
    screen.press("q")
    screen.until("It goes on without this screen")
    screen.press("l")

    assert screen.wait() == 0
    assert_nothing_steers(screen)


def test_the_screen_of_a_failed_run_shows_reason_hint_and_log_as_text(
    hostile: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    write(hostile, told(ended=True))
    screen = terminal("watch", hostile.path, width=200, height=60)
    screen.until("Log: ")
    screen.press("q")

    assert screen.wait() == 1
    assert_nothing_steers(screen)


def test_a_folder_whose_name_is_not_utf8_holds_runs_like_any_other(tmp_path: Path, tiny: Path) -> None:
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/work\xff\x1b[31m"))
    home.mkdir()
    recipe = Path(shutil.copy(tiny, home))
    fbmon = Fbmon(home / "runs")
    fbmon.runs_dir.mkdir()

    ran = fbmon("run", recipe, "--no-ui", "--steps", "2", "--data-dir", home / "data")

    assert ran.returncode == 0, ran.stderr
    (folder,) = [RunFolder(path) for path in fbmon.runs_dir.iterdir()]
    meta = folder.read_meta()
    assert meta is not None
    assert meta.directory.endswith("/work%FF%1B%5B31m")
    assert as_path(meta.directory) == home
    assert meta.data_dir is not None
    assert as_path(meta.data_dir) == home / "data"
    (listed,) = json.loads(fbmon("runs", "--json").stdout)
    assert (listed["state"], as_path(listed["path"])) == ("finished", folder.path)
    for command in (["runs"], ["compare"], ["watch", "--no-ui"], ["stop"]):
        said = fbmon(*command)
        assert "Traceback" not in said.stderr
        assert not STEERING.search(said.stdout + said.stderr), command


def test_an_error_that_names_a_file_whose_name_is_not_utf8_is_told_to_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(RunEnded("failed", 1, 0, "no such file: /work\udcff", "\udcff"))
    journal.close()

    (ended,) = Tail(tmp_path / "journal.jsonl").read()

    assert ended == replace(ended, reason="no such file: /work\\udcff", hint="\\udcff")
