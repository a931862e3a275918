"""The README keeps its word: every recipe, recipe key, command and room of the house is in it, and the reverse."""

import re
from pathlib import Path

from fbmon import cli, recipe
from fbmon.errors import Exit
from fbmon.recipe.schema import known_keys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_recipe_and_nothing_else_is_in_the_table() -> None:
    table = README.split("| recipe | what it is |")[1].split("\n\n")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    for folder, about in re.findall(r"^\| `(\w+)/...` \|(.*)\|", table, re.MULTILINE):
        named += [f"{folder}/{name}" for name in re.findall(r"`([^`]+)`", about)]
    assert sorted(named) == sorted(recipe.shipped())


def test_every_key_of_a_recipe_is_named_and_every_named_key_exists() -> None:
    text = README.split("Keys: ")[1].split("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)?)`", re.sub(r"\([^)]*\)", "", text)))
    leaves = {key for key in known_keys() if "." in key} | {"name", "steps", "seed", "precision"}
    assert named == leaves


def test_every_command_is_shown_and_every_shown_command_exists() -> None:
    commands = {command.callback.__name__ for command in cli.app.registered_commands if command.callback}
    groups = {group.name for group in cli.app.registered_groups}
    shown = set(re.findall(r"^fbmon (\w+)", README, re.MULTILINE))
    assert shown == commands | groups


def test_every_exit_code_is_explained() -> None:
    table = README.split("| exit code | meaning |")[1].split("\n\n")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == sorted(Exit)


def test_the_tree_names_every_room() -> None:
    tree = README.split("```\nfbmon/\n")[1].split("```")[0]
    named = set(re.findall(r"^  (\S+)", tree, re.MULTILINE))
    rooms = {path.name + "/" * path.is_dir() for path in (ROOT / "fbmon").iterdir()}
    assert named == {room for room in rooms if not room.startswith("__")}
