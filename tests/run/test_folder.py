"""A run's folder: made in private, never twice, found by what a user types, spoken to, and known to be alive."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from fbmon import run as folders
from fbmon.errors import FbmonError, UsageError
from fbmon.events import CommandTaken
from fbmon.host import disk
from fbmon.run import RunFolder
from fbmon.run import creation as new

NAME_RULE = "must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit"


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_bytes(b"# as given\nsteps = 1\n")
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "somewhere" / "runs"


def create(runs: Path, recipe_file: Path, name: str = "small") -> RunFolder:
    return folders.create(runs, name, recipe_file, "steps = 1  # resolved\n", "cpu", None)


def lay_out(runs: Path, *names: str) -> None:
    """Folders of runs, each a second newer than the one before."""
    for second, name in enumerate(names):
        (runs / name).mkdir(parents=True)
        (runs / name / "meta.json").write_text("{}")
        os.utime(runs / name / "meta.json", (1e9 + second, 1e9 + second))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are named by Linux")
def test_what_a_run_is_gone_on_with_is_on_the_disk_before_it_starts(
    runs: Path, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[str, int] = {}
    folders_synced: list[Path] = []

    def sync(file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink()
        if path.is_file():
            synced[path.name] = os.fstat(file).st_size
        else:
            folders_synced.append(path)

    monkeypatch.setattr(os, "fsync", sync)
    folder = create(runs, recipe_file)
    assert synced == {path.name: path.stat().st_size for path in (folder.recipe, folder.resolved, folder.meta)}
    assert folders_synced == [folder.path, folder.path.parent]


def test_a_new_run_holds_the_recipe_as_given_the_resolved_one_and_where_it_comes_from(
    runs: Path, recipe_file: Path
) -> None:
    folder = folders.create(runs, "small", recipe_file, "steps = 1  # resolved\n", "cuda:0", Path("images"))
    assert folder.path.parent == runs
    assert re.fullmatch(r"small-\d{8}-\d{6}", folder.name)
    assert folder.recipe.read_bytes() == b"# as given\nsteps = 1\n"
    assert folder.resolved.read_text() == "steps = 1  # resolved\n"
    meta = folder.read_meta()
    assert meta is not None
    assert (meta.name, meta.devices, meta.recipe_file) == (folder.name, "cuda:0", str(recipe_file))
    assert meta.data_dir == str(Path.cwd() / "images")
    assert meta.command == sys.argv
    assert {"fbmon", "python", "torch", "torchvision"} == set(meta.versions)
    assert not folder.is_alive()


def test_nobody_else_can_read_a_run_even_where_the_umask_would_let_them(runs: Path, recipe_file: Path) -> None:
    before = os.umask(0)
    try:
        folder = create(runs, recipe_file)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder.path, *folder.path.iterdir()]}
    assert modes == {
        folder.name: 0o700,
        "inbox": 0o700,
        "recipe.toml": 0o600,
        "resolved.toml": 0o600,
        "meta.json": 0o600,
    }


def test_runs_made_in_the_same_second_have_folders_of_their_own(
    runs: Path, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(new, "datetime", SimpleNamespace(now=lambda _: moment))
    made = [create(runs, recipe_file).name for _ in range(4)]
    assert made == [f"small-20260102-030405{number}" for number in ("", "-2", "-3", "-4")]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", ""),
        ("..", ".."),
        (".hidden", ".hidden"),
        ("a/b", "a/b"),
        ("../../etc/cron.d/x", "../../etc/cron.d/x"),
        ("-rf", "-rf"),
        ("Upper", "Upper"),
        ("a\n", "a\ufffd"),
        ("a\0b", "a\ufffdb"),
        ("\x1b[2J", "\ufffd[2J"),
        ("ä", "ä"),
        ("x" * 65, "x" * 65),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused_and_nothing_is_made(
    runs: Path, recipe_file: Path, name: str, shown: str
) -> None:
    with pytest.raises(UsageError) as raised:
        create(runs, recipe_file, name)
    assert raised.value.message == f"--name {shown}: {NAME_RULE}"
    assert not runs.exists()


def test_where_no_folder_can_be_made_it_is_said_in_one_sentence(tmp_path: Path, recipe_file: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FbmonError) as raised:
        create(tmp_path / "file" / "runs", recipe_file)
    assert raised.value.message == f"{tmp_path / 'file' / 'runs'}: no run can be created here: Not a directory"
    assert raised.value.hint == "try --runs-dir"


def test_a_file_is_no_folder_of_runs(tmp_path: Path, recipe_file: Path) -> None:
    (tmp_path / "file").touch()
    for wanted in (folders.every, lambda path: create(path, recipe_file)):
        with pytest.raises(UsageError) as raised:
            wanted(tmp_path / "file")
        assert raised.value.message == f"{tmp_path / 'file'}: is not a folder"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "beta-20250102-000000"),
        ("alpha-20250101-000000", "alpha-20250101-000000"),
        ("alpha-20250101-000000-2", "alpha-20250101-000000-2"),
        ("alpha", "alpha-20250101-000000-2"),
        ("alpha-2024", "alpha-20241231-000000"),
        ("b", "beta-20250102-000000"),
    ],
)
def test_a_run_is_found_by_its_name_or_its_beginning_and_the_newest_is_meant(
    runs: Path, given: str | None, found: str
) -> None:
    lay_out(
        runs, "alpha-20241231-000000", "alpha-20250101-000000", "alpha-20250101-000000-2", "beta-20250102-000000"
    )  # fmt: skip
    (runs / "zeta-without-meta").mkdir()
    assert folders.find(runs, given).name == found


def test_all_runs_are_listed_newest_first(runs: Path) -> None:
    assert folders.every(runs) == []
    lay_out(runs, "b", "c", "a")
    assert [folder.name for folder in folders.every(runs)] == ["a", "c", "b"]


def test_a_run_that_goes_on_with_other_devices_stays_where_it_is_in_the_list(runs: Path, recipe_file: Path) -> None:
    old, new = create(runs, recipe_file, "old"), create(runs, recipe_file, "new")
    os.utime(old.meta, (1_700_000_000, 1_700_000_000))
    old.set_devices("cpu:2")

    assert [folder.path for folder in folders.every(runs)] == [new.path, old.path]
    meta = old.read_meta()
    assert meta is not None
    assert meta.devices == "cpu:2"


def test_what_is_to_be_typed_finds_the_run_also_where_it_does_not_lie_with_the_others(
    runs: Path, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBMON_RUNS", str(runs))
    usual, other = create(runs, recipe_file), create(tmp_path / "my runs", recipe_file)
    monkeypatch.chdir(tmp_path)

    assert usual.typed == usual.name
    assert other.typed == f"'{other.path}'"
    assert folders.find(runs, shlex.split(other.typed)[0]).path == other.path


def test_a_run_is_found_by_its_path_wherever_it_lies(runs: Path, tmp_path: Path) -> None:
    lay_out(tmp_path, "elsewhere")
    assert folders.find(runs, str(tmp_path / "elsewhere")).path == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (None, "no run in RUNS", "start one with `fbmon run quickstart`, or name the folder with --runs-dir"),
        ("alpha", "alpha: no such run in RUNS", "`fbmon runs` lists them"),
        ("\x1b[2J", "\ufffd[2J: no such run in RUNS", "`fbmon runs` lists them"),
        ("x" * 5000, f"{'x' * 199}…: no such run in RUNS", "`fbmon runs` lists them"),
        ("a\0b", "a\ufffdb: no such run in RUNS", "`fbmon runs` lists them"),
    ],
)
def test_a_run_that_is_not_there_is_told_with_what_to_do(
    runs: Path, given: str | None, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        folders.find(runs, given)
    assert raised.value.message == message.replace("RUNS", str(runs))
    assert raised.value.hint == hint


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"name": "\xff"}', b'{"x":' + b"[" * 100_000, b"\0"])
def test_a_damaged_meta_file_is_no_meta_file(runs: Path, content: bytes) -> None:
    lay_out(runs, "small")
    folder = RunFolder(runs / "small")
    folder.meta.write_bytes(content)
    assert folder.read_meta() is None


def test_commands_are_taken_in_the_order_they_were_put_each_once(runs: Path, recipe_file: Path) -> None:
    folder = create(runs, recipe_file)
    assert folder.take() is None
    folder.put("stop", "the screen")
    folder.put("preempt", "a shell")
    assert [folder.take(), folder.take(), folder.take()] == [
        CommandTaken("stop", "the screen"),
        CommandTaken("preempt", "a shell"),
        None,
    ]
    assert list(folder.inbox.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"command": "explode", "source": "me"}', b'{"command": "stop", "source": "\xff"}', b"[" * 9999],
)
def test_a_file_in_the_inbox_that_is_no_command_holds_up_none(runs: Path, recipe_file: Path, content: bytes) -> None:
    folder = create(runs, recipe_file)
    (folder.inbox / "0.json").write_bytes(content)
    (folder.inbox / "1.json").mkdir()
    folder.put("stop", "the screen")
    assert folder.take() == CommandTaken("stop", "the screen")
    assert folder.take() is None


def test_a_reader_sees_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    disk.replace(path, b"old")
    with path.open("rb") as reader:
        disk.replace(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def lock_held_elsewhere(path: Path) -> Iterator["subprocess.Popen[str]"]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_a_run_is_alive_as_long_as_a_process_holds_its_lock_however_that_one_dies(
    runs: Path, recipe_file: Path
) -> None:
    folder = create(runs, recipe_file)
    assert not folder.is_alive()
    with lock_held_elsewhere(folder.lock) as holder:
        assert folder.is_alive()
        assert folder.is_alive()
        holder.kill()
        holder.wait()
        assert not folder.is_alive()
    assert folder.lock.exists()
