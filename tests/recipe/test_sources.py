"""Networks of others as a recipe names them: found, refused in one sentence, and never run by looking."""

from pathlib import Path

import pytest

from fbmon import recipe as recipes
from fbmon.errors import RecipeError
from fbmon.recipe.sources import closure, parse
from tests.shell import Fbmon

CANARY = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n"


@pytest.fixture
def mine(tiny: Path) -> Path:
    """A recipe whose network is class Net of nets/mine.py, which imports parts.py beside it."""
    nets = tiny.parent / "nets"
    nets.mkdir()
    (nets / "mine.py").write_text(CANARY + "from parts import Part\n\nclass Net(Part):\n    pass\n")
    (nets / "parts.py").write_text(CANARY + "import other\n\nclass Part:\n    pass\n")
    file = tiny.parent / "mine.toml"
    file.write_text(f'name = "mine"\nextends = "{tiny.name}"\n\n[model]\nname = "nets/mine.py:Net"\n')
    return file


def has_run(folder: Path) -> bool:
    return any(folder.rglob("*.ran"))


def test_a_file_and_what_it_imports_from_beside_it_are_its_code(mine: Path) -> None:
    model = recipes.load(mine).model
    assert model.reference == ("nets/mine.py", "Net")
    assert sorted(closure(model.reference, model.folder)) == ["nets/mine.py", "nets/parts.py"]
    assert not has_run(mine.parent)


def test_what_a_file_is_seen_from_is_the_recipe_that_names_it(mine: Path) -> None:
    (mine.parent / "below").mkdir()
    other = mine.parent / "below" / "other.toml"
    other.write_text('name = "other"\nextends = "../mine.toml"\n')
    assert recipes.load(other).model.folder.samefile(mine.parent)
    assert recipes.flatten(recipes.load(mine, ["model.args.depth=2"]))["model.args.depth"] == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("model.name=nets/mine.py:Nit", "nets/mine.py defines no Nit, but Path, Part, Net"),
        ("model.name=nets/yours.py:Net", "nets/yours.py cannot be read: No such file or directory"),
        ("model.name=../mine.py:Net", "../mine.py must lie beside the recipe or below it"),
        ("model.name=/etc/mine.py:Net", "/etc/mine.py must lie beside the recipe or below it"),
        ("model.name=nets/broken.py:Net", "nets/broken.py is no Python: "),
        ("model.name=resnet19", "must be one of resnet8, "),
        ("model.width=8", "model.width = 8: is for fbmon's own networks; use [model.args]"),
        ("model.args.depth=[[1]]", "model.args.depth: must be true, false, a number, a string, or a list of these"),
    ],
)
def test_what_cannot_be_a_network_is_refused_in_one_sentence(mine: Path, setting: str, told: str) -> None:
    (mine.parent / "nets" / "broken.py").write_text("class Net(:\n")
    with pytest.raises(RecipeError) as raised:
        recipes.load(mine, [setting])
    assert told in raised.value.message
    assert "\n" not in raised.value.message
    assert not has_run(mine.parent)


@pytest.mark.parametrize("name", ["resnet8", "mine.py", ":Net", "a b:Net", "a/b:Net", "x.py:Net.inner", "mine.py:"])
def test_other_forms_refer_to_nothing(name: str) -> None:
    assert parse(name) is None


def test_looking_at_recipes_and_runs_runs_none_of_their_code(mine: Path, fbmon: Fbmon) -> None:
    started = fbmon("run", mine, "--no-ui", "--devices", "cpu")
    folder = fbmon.run_folder().path
    assert started.returncode == 2, "its class is no network"
    assert (folder / "nets" / "mine.ran").exists(), "a training runs the copy in its folder"
    assert not has_run(mine.parent / "nets")
    for ran in folder.rglob("*.ran"):
        ran.unlink()
    for looking in (["recipe", "check", mine], ["recipe", "show", mine], ["runs"], ["compare", "--no-ui"],
                    ["watch", "--no-ui"], ["export", "--to", "html", "--out", "report"], ["stop"]):  # fmt: skip
        fbmon(*looking)
    assert not has_run(mine.parent)
