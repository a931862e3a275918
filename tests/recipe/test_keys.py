"""The reference of all keys, which is written from the schema."""

from pathlib import Path

import pytest

from fbmon import recipe as recipes
from fbmon.recipe.reference import commented
from tests.shell import Fbmon
from tools.recipe_keys import DOCUMENT, document


def test_the_reference_of_recipes_is_what_the_schema_says() -> None:
    """`python -m tools.recipe_keys` writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


@pytest.mark.parametrize("name", recipes.shipped())
def test_a_recipe_with_every_key_and_its_meaning_reads_back_equal(name: str, tmp_path: Path) -> None:
    recipe, file = recipes.load(recipes.find(name)), tmp_path / "commented.toml"
    file.write_text(commented(recipe, name), encoding="utf-8")
    assert recipes.load(file) == recipe
    for key in recipes.flatten(recipe):
        assert f"\n{key.rpartition('.')[2]} = " in file.read_text()


def test_recipe_new_writes_a_file_that_can_be_run_and_no_other(fbmon: Fbmon) -> None:
    file = fbmon.runs_dir.parent / "mine.toml"
    made = fbmon("recipe", "new", "mine", "--from", "digits/fb_clipped")
    assert (made.returncode, made.stdout) == (0, "mine.toml: change it, then: fbmon run mine.toml\n")
    assert fbmon("recipe", "check", file).returncode == 0
    again = fbmon("recipe", "new", "mine")
    assert (again.returncode, again.stderr.splitlines()[0]) == (2, "fbmon: mine.toml: already exists")
    assert '"extends"' in fbmon("recipe", "schema").stdout
