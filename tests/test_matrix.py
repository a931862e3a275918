"""The matrix asks for what pyproject.toml allows, ends what does not end, and says what it has seen."""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import psutil
import pytest

from tools.matrix.packages import is_for_all, lowest, requirements
from tools.matrix.report import Result, keep, page, read
from tools.matrix.rows import LOWEST, ROWS, TORCH_2_11, Row, named
from tools.matrix.suite import empty, outcomes, run

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Two processes that stay: one in a session of its own, whose parent is gone.
STAYS = """
import subprocess, sys, time
if sys.argv[1:] == ["first"]:
    subprocess.Popen([sys.executable, __file__, "second"], start_new_session=True)
else:
    if not sys.argv[1:]:
        subprocess.run([sys.executable, __file__, "first"])
    time.sleep(300)
"""
SUITE = """
import time
import pytest
def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.mark.skip
def test_left_out(): pass
@pytest.fixture
def broken():
    yield
    raise OSError
def test_bad_at_its_end(broken): pass
def test_endless(): time.sleep(300)
"""


def test_the_lowest_of_each_requirement_is_pinned_and_all_others_are_as_the_project_has_them() -> None:
    assert lowest("textual>=8,<9") == "textual==8"
    assert lowest("pytest-xdist[psutil]>=3.6.1") == "pytest-xdist[psutil]==3.6.1"
    assert not [one for one in requirements(PROJECT, LOWEST) if "==" not in one]
    assert {"textual>=8,<9", "torch>=2.10", "torch==2.11.*"} <= set(requirements(PROJECT, TORCH_2_11))


def test_rows_are_chosen_by_name_and_a_wrong_name_is_said_with_the_right_ones() -> None:
    assert [row.name for row in named("nohup,lowest")] == ["lowest", "nohup"]
    with pytest.raises(SystemExit, match="no row mohup: there are newest, lowest"):
        named("mohup")


def test_what_does_not_end_is_killed_in_time_with_all_that_it_has_started(tmp_path: Path) -> None:
    temporary, script = tmp_path / "temporary", tmp_path / "stays.py"
    script.write_text(STAYS)
    began = time.monotonic()
    ran = run(
        [sys.executable, script], Row("stays", ""), tmp_path,
        os.environ | {"TMPDIR": str(temporary)}, 2.0, tmp_path / "log",
    )  # fmt: skip
    assert ran.code is None
    assert 2 <= ran.wall <= time.monotonic() - began
    assert not [process for process in psutil.process_iter() if temporary in variable_of(process)]


def variable_of(process: psutil.Process) -> list[Path]:
    try:
        return [Path(process.environ().get("TMPDIR", "/"))]
    except psutil.Error:
        return []


def test_a_suite_that_was_killed_has_said_what_failed_and_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(SUITE)
    path = tmp_path / "outcomes"
    command = [sys.executable, "-m", "pytest", "-p", "tools.matrix.outcomes", "--outcomes", str(path), "--rootdir=."]
    process = subprocess.Popen(
        [*command, "test_some.py"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (path.exists() and "endless" in path.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    said = outcomes(path)
    assert (said.passed, said.skipped) == (1, 1)
    assert said.failed == ["test_some.py::test_bad", "test_some.py::test_bad_at_its_end"]
    assert said.unfinished == ["test_some.py::test_endless"]


def test_the_newest_result_of_each_row_is_kept_in_the_order_of_the_rows(tmp_path: Path) -> None:
    for state, row in (("failed", "nohup"), ("passed", "nohup"), ("not to be had here", "lowest")):
        keep(Result(row, state, "abc", "1 May 2026", reason="no Python 3.12"), tmp_path)  # type: ignore[arg-type]
    assert [(one.row, one.state) for one in read(tmp_path / "matrix.jsonl").values()] == [
        ("lowest", "not to be had here"),
        ("nohup", "passed"),
    ]


def test_the_table_says_what_failed_and_what_was_not_to_be_had() -> None:
    results = {
        "newest": Result(
            "newest", "failed", "abc", "1 May 2026", "a processor", versions={"Python": "3.11.2"},
            passed=1203, failed=["tests/test_a.py::test_b"], mypy="passed", wall=301.0, cpu=590.0,
        ),
        "user": Result("user", "not to be had here", "abc", "1 May 2026", reason="only root may do that"),
    }  # fmt: skip
    table = page(results)
    about = {row.name: row.about for row in ROWS}
    newest = f"| `newest` | {about['newest']} | **failed**: 1,203 passed, 1 failed |"
    assert f"{newest} passed | 5:01 | 9:50 | abc, 1 May 2026 |" in table
    assert f"| `user` | {about['user']} | not to be had here |  |  |  | abc, 1 May 2026 |" in table
    assert "- `newest`: `tests/test_a.py::test_b` failed" in table
    assert "- `user`: only root may do that" in table
    assert "`newest`: Python 3.11.2, a processor." in table


def test_the_page_in_docs_is_that_of_the_results_kept_beside_it() -> None:
    results = read(ROOT / "docs/matrix.jsonl")
    assert (ROOT / "docs/matrix.md").read_text() == page(results)


def test_a_folder_is_emptied_whatever_the_tests_have_made_of_it(tmp_path: Path) -> None:
    closed = tmp_path / "work/closed/deep"
    closed.mkdir(parents=True)
    (closed / "file").write_text("")
    for folder in (closed, closed.parent):
        folder.chmod(0)
    empty(tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_file_below_a_private_folder_is_not_for_all_users(tmp_path: Path) -> None:
    assert is_for_all(Path("/bin/sh"))
    (tmp_path / "python").touch(0o755)
    tmp_path.chmod(0o700)
    assert not is_for_all(tmp_path / "python")
