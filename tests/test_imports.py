"""What a command does not need it does not import: torch takes seconds, Textual a third of one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.shell import DEADLINE, environment

HEAVY = {"torch", "torchvision", "textual", "numpy", "pydantic", "typer", "rich", "msgspec", "psutil", "pynvml"}


def imported(home: Path, statement: str, *arguments: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has imported when it leaves after `statement`."""
    listing = home / "modules"
    program = (
        "import atexit, pathlib, sys\n"
        f"atexit.register(lambda: pathlib.Path({str(listing)!r}).write_text('\\n'.join(sys.modules)))\n"
        f"{statement}\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=home,
        env=environment(home / "runs"),
        stdout=subprocess.DEVNULL,
        timeout=DEADLINE,
        check=True,
    )
    return set(listing.read_text().split("\n")) & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["runs"],
        ["recipe", "list"],
        ["recipe", "check", "quickstart"],
        ["compare"],
        ["compare", "--group", "recipe", "--latex"],
        ["export", "--to", "html"],
        ["plan", "--help"],
        ["reproduce"],
        ["doctor", "--help"],
        ["landscape", "--help"],
        ["flatness", "--help"],
        ["verify", "--help"],
    ],
    ids=" ".join,
)
def test_a_command_that_neither_trains_nor_shows_a_screen_imports_neither_torch_nor_textual(
    finished: dict[str, Ended], tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "runs").symlink_to(finished["plain"].folder.path.parent)

    found = imported(tmp_path, "from fbmon.cli import main; main()", *arguments)

    assert found.isdisjoint({"torch", "torchvision", "textual"})


def test_a_table_of_runs_needs_neither_numpy_nor_rich(finished: dict[str, Ended], tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(finished["plain"].folder.path.parent)

    for command in ("runs", "compare"):
        assert imported(tmp_path, "from fbmon.cli import main; main()", command).isdisjoint({"numpy", "rich"})


def test_watching_a_run_in_plain_lines_imports_neither_torch_nor_textual(
    finished: dict[str, Ended], tmp_path: Path
) -> None:
    run = str(finished["plain"].folder.path)

    found = imported(tmp_path, "from fbmon.cli import main; main()", "watch", "--no-ui", run)

    assert found.isdisjoint({"torch", "torchvision", "textual"})


def test_the_screen_does_not_import_torch(tmp_path: Path) -> None:
    assert imported(tmp_path, "import fbmon.ui.monitor.app").isdisjoint({"torch", "torchvision"})


def test_the_doctor_asks_torch_in_a_process_of_its_own(tmp_path: Path) -> None:
    statement = "import fbmon.cli; from fbmon.doctor import examine, gpus, login, torch"
    assert imported(tmp_path, statement).isdisjoint({"torch", "torchvision", "textual"})


def test_importing_fbmon_imports_nothing_heavy(tmp_path: Path) -> None:
    assert imported(tmp_path, "import fbmon") == set()
