"""Folders that are no whole runs, beside whole ones: listed as what they are, and in nobody's way."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs import story, write_run
from tests.shell import Fbmon
from tests.terminal import Terminal

# As root nothing is forbidden.
LISTED = {
    "whole-1": "finished,3", "whole-2": "finished,3",
    "empty-journal": "damaged,0", "cut-short": "killed,3", "bad-checksum": "finished,3", "no-meta": "finished,3",
    "no-journal": "damaged,0", "journal-is-a-folder": "damaged,0", "journal-turns-in-circles": "damaged,0",
    "zeros": "damaged,0", "no-recipe": "finished,3", "not-utf8": "finished,3",
    "forbidden": "finished,3" if os.geteuid() == 0 else "damaged,0",
}  # fmt: skip


@pytest.fixture
def zoo(runs_dir: Path) -> Path:
    def run(name: str) -> Path:
        return write_run(runs_dir, name, story("whole", (0.5, 0.75, 0.7))).path

    good = (run("whole-1") / "journal.jsonl").read_bytes()
    run("whole-2")
    (run("empty-journal") / "journal.jsonl").write_bytes(b"")
    (run("cut-short") / "journal.jsonl").write_bytes(good[:-40])
    (run("bad-checksum") / "journal.jsonl").write_bytes(good.replace(b'"loss":0.5', b'"loss":0.6'))
    (run("no-meta") / "meta.json").unlink()
    (run("no-journal") / "journal.jsonl").unlink()
    folder = run("journal-is-a-folder") / "journal.jsonl"
    folder.unlink()
    folder.mkdir()
    circle = run("journal-turns-in-circles") / "journal.jsonl"
    circle.unlink()
    circle.symlink_to(circle)
    (run("zeros") / "journal.jsonl").write_bytes(b"\0" * 4096)
    (run("no-recipe") / "resolved.toml").unlink()
    (run("not-utf8") / "meta.json").write_bytes(b"\xff\xfe{")
    (run("forbidden") / "journal.jsonl").chmod(0)
    (runs_dir / "an empty folder").mkdir()
    (runs_dir / "someone else's").mkdir()
    (runs_dir / "someone else's" / "photo.jpg").write_bytes(b"\xff\xd8")
    (runs_dir / "a file").write_text("not a run")
    (runs_dir / "circle").symlink_to(runs_dir / "circle")
    return runs_dir


def test_every_list_names_them_as_what_they_are(zoo: Path, fbmon: Fbmon) -> None:
    for command in ("runs", "compare"):
        said = fbmon(command, "--csv", "--columns", "run,state,step")
        assert (said.returncode, said.stderr) == (0, "")
        listed = dict(line.split(",", 1) for line in said.stdout.splitlines()[1:])
        assert listed == LISTED
    assert {run["run"] for run in json.loads(fbmon("runs", "--json").stdout)} == set(LISTED)


@pytest.mark.parametrize("to", ["html", "svg", "csv", "jsonl"])
def test_all_of_them_are_exported(zoo: Path, fbmon: Fbmon, to: str) -> None:
    said = fbmon("export", "*", "--to", to)
    assert (said.returncode, said.stderr) == (0, "")
    written = said.stdout.splitlines()
    assert len(written) == (1 if to in ("html", "svg") else len(LISTED))
    assert all((zoo.parent / path).is_file() for path in written)


def test_the_screen_shows_them_all(zoo: Path, terminal: Callable[..., Terminal]) -> None:
    screen = terminal("compare", width=120, height=50)
    text = screen.until(f"{len(LISTED)} runs · {len(LISTED)} drawn")
    assert [name for name in LISTED if len(name) <= 16 and name not in text] == [], text
    screen.press("\x1b[F")  # to the last row, and through all keys that look at it
    for key in " uHUgig":
        screen.press(key)
    screen.press("q")
    assert screen.wait() == 0, screen.text
    assert screen.modes_left() == set()
