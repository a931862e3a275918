"""Text from recipes, journals and file names reaches the terminal as text: it steers nothing and hides nothing."""

import re
import shutil
from pathlib import Path

import pytest

from fbmon.events import DeviceSampled, NonFiniteFound, PhaseEntered, RunEnded, RunStarted, TrainingStarted
from fbmon.folder import RunFolder
from fbmon.journal import Journal
from tests.conftest import TINY, Ended
from tests.shell import Fbmon

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
    journal.append(TrainingStarted(3, 1, 1, 1, 1, ATTACK, ATTACK, target_source=ATTACK))
    journal.append(NonFiniteFound(1, [ATTACK]))
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
