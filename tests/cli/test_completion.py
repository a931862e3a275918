"""At the Tab key the shell is offered what there is, and never an error; every command's help has an example."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import story, write_run
from tests.shell import DEADLINE, Fbmon, environment


def offered(words: str, runs_dir: Path) -> list[str]:
    """What bash would be offered after these words, the last of them unfinished."""
    typed = {"_FBMON_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    result = subprocess.run(
        [sys.executable, "-m", "fbmon"],
        env=environment(runs_dir) | typed | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("fbmon rep", ["reproduce"]),
        ("fbmon run digits/fb_c", ["digits/fb_clipped"]),
        ("fbmon plan quick", ["quickstart"]),
        ("fbmon recipe show fb_s", ["fb_strong_reg"]),
        ("fbmon watch a", ["a-2", "a-1"]),
        ("fbmon compare b-1 a-1", ["a-1"]),
        ("fbmon compare state:f", ["state:finished", "state:failed"]),  # of zsh and fish
        ("fbmon compare a-1 state : f", ["finished", "failed"]),  # as bash parts it
        ("fbmon compare --sort val_a", ["val_accuracy"]),
        ("fbmon reproduce dig", ["digits"]),
    ],
)
def test_the_shell_is_offered_what_there_is(words: str, offers: list[str], runs_dir: Path) -> None:
    for age, name in enumerate(["a-2", "a-1", "b-1"]):
        folder = write_run(runs_dir, name, story())
        os.utime(folder.meta, (1_700_000_000 - age, 1_700_000_000 - age))
    assert offered(words, runs_dir) == offers


def test_where_no_runs_are_nothing_is_offered(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    assert offered("fbmon watch a", tmp_path / "runs") == []


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "watch",
        "stop",
        "runs",
        "compare",
        "export",
        "plan",
        "reproduce",
        "recipe list",
        "recipe show",
        "recipe check",
    ],
)
def test_every_commands_help_has_an_example_of_it(command: str, fbmon: Fbmon) -> None:
    assert f"fbmon {command}" in fbmon(*command.split(), "--help").stdout.split("Example")[1]
