"""README and docs keep their word: every recipe, key, command, exit code and room is in them, and the reverse."""

import re
from pathlib import Path

import pytest

from fbmon import cli, recipe
from fbmon.errors import Exit

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs/guide.md").read_text()


def test_every_recipe_and_nothing_else_is_in_the_table() -> None:
    table = GUIDE.split("| recipe | what it is |")[1].split("\n\n")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    for folder, about in re.findall(r"^\| `(\w+)/...` \|(.*)\|", table, re.MULTILINE):
        named += [f"{folder}/{name}" for name in re.findall(r"`([^`]+)`", about)]
    assert sorted(named) == sorted(recipe.shipped())


def test_every_command_is_shown_and_every_shown_command_exists() -> None:
    commands = {command.callback.__name__ for command in cli.app.registered_commands if command.callback}
    groups = {group.name for group in cli.app.registered_groups}
    assert set(re.findall(r"^fbmon (\w+)", GUIDE, re.MULTILINE)) == commands | groups
    assert set(re.findall(r"(?:^|`)fbmon (\w+)", README, re.MULTILINE)) <= commands | groups


def test_the_readme_is_read_in_five_minutes_and_its_recipe_can_be_run(tmp_path: Path) -> None:
    assert len(README.split()) <= 1200
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    for text in re.findall(r"```toml\n(.*?)```", README, re.DOTALL):
        (tmp_path / "gentle.toml").write_text(text)
        assert recipe.load(tmp_path / "gentle.toml").name == "gentle"


def test_every_exit_code_is_explained() -> None:
    table = GUIDE.split("| exit code | meaning |")[1].split("\n\n")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == sorted(Exit)


def test_the_tree_names_every_room() -> None:
    tree = (ROOT / "docs/architecture.md").read_text().split("```\nfbmon/\n")[1].split("```")[0]
    named = set(re.findall(r"^  (\S+)", tree, re.MULTILINE))
    files = {path.name for path in (ROOT / "fbmon").glob("*.py") if not path.name.startswith("__")}
    assert named == files | {f"{path.parent.name}/" for path in (ROOT / "fbmon").glob("*/__init__.py")}


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md", "docs/method.md"])
def test_every_file_that_a_document_names_exists(document: str) -> None:
    """Those of an example, which was made and taken back, aside."""
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`((?:fbmon|train|process|recipe|store|ui|run|ranks|cli|tests|docs)/[\w/]+\.\w+)`", text))
    missing = {name for name in named if not (ROOT / name).exists() and not (ROOT / "fbmon" / name).exists()}
    assert named
    assert missing <= {"fbmon/cli/where.py", "fbmon/train/data/NAME/NAME.npz"}
