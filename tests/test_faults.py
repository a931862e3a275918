"""docs/faults.md keeps its word: every test that it names exists, and is slow where it says so."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = (TESTS.parent / "docs" / "faults.md").read_text()


def slow_and_quick(file: Path) -> dict[str, bool]:
    """The tests in a file, and whether they are left to `make chaos`."""
    tree = ast.parse(file.read_text())
    all_of_it = "pytestmark = pytest.mark.slow" in file.read_text()
    return {
        node.name: all_of_it or any(ast.unparse(mark) == "pytest.mark.slow" for mark in node.decorator_list)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_named_test_exists_and_is_slow_where_it_is_called_so() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`( \(slow\))?", TABLE)
    assert len(named) > 30
    for file, name, slow in named:
        known = slow_and_quick(TESTS / file)
        assert name in known, f"{file} has no {name}"
        assert known[name] == bool(slow), f"{name} is {'not ' * bool(slow)}slow"


def test_every_row_names_a_test() -> None:
    rows = TABLE.split("|---|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert [row for row in rows if "::test_" not in row] == []
