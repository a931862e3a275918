"""A recipe from a file to a value: what loads, and what is said of one that does not."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon import recipe
from fbmon.errors import RecipeError, UsageError
from fbmon.text import clean_lines

GOOD = """\
name = "small"
steps = 10

[data]
dataset = "digits"

[model]
name = "resnet8"

[gradient]
block = 128
[optimizer]
name = "sgd"
lr = 0.4

[schedule]
name = "cosine"
horizon = 10

[clip]
norm = 0.25
"""
SGD = '[optimizer]\nname = "sgd"\nlr = 0.4\n'
SCHEDULES = 'must be one of "constant", "cosine", "multistep", "exponential"'
NAME_RULE = "must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, so that messages name files as a user gives them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fault(content: str | bytes, *overrides: str) -> str:
    """What is said of a recipe with this content, as bad.toml in the present folder."""
    path = Path("bad.toml")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError) as raised:
        recipe.load(path, overrides)
    return raised.value.message


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_loads_and_is_found_by_its_own_name(name: str) -> None:
    path = recipe.find(name)
    assert recipe.load(path).name == name.replace("/", "-")
    assert recipe.find(str(path)) == path


@pytest.mark.parametrize("name", recipe.shipped())
def test_a_dumped_recipe_loads_back_equal(name: str, tmp_path: Path) -> None:
    wanted = recipe.load(recipe.find(name))
    resolved = tmp_path / "resolved.toml"
    resolved.write_text(recipe.dump(wanted))
    assert recipe.load(resolved) == wanted


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    assert recipe.flatten(recipe.load(path)) == {
        "name": "small",
        "steps": 10,
        "seed": 0,
        "precision": "float32",
        "data.dataset": "digits",
        "data.augment": "none",
        "data.copy_per_step": False,
        "model.name": "resnet8",
        "model.width": 64,
        "model.running_statistics": "momentum",
        "gradient.block": 128,
        "gradient.order": "fixed",
        "gradient.drop_last": False,
        "gradient.accumulation": "exact",
        "gradient.update": "full",
        "loss.name": "cross_entropy",
        "loss.label_smoothing": 0.0,
        "optimizer.name": "sgd",
        "optimizer.lr": 0.4,
        "optimizer.momentum": 0.0,
        "optimizer.nesterov": False,
        "optimizer.weight_decay": 0.0,
        "optimizer.decay_on": "all",
        "schedule.name": "cosine",
        "schedule.warmup": 0,
        "schedule.horizon": 10,
        "schedule.floor": 0.0,
        "clip.norm": 0.25,
        "validation.every": 100,
        "checkpoint.seconds": 60.0,
        "checkpoint.keep": 2,
        "divergence.stop": False,
        "divergence.factor": 4.0,
        "divergence.steps": 20,
        "restart.at_most": 0,
    }


def test_settings_are_laid_over_the_file_and_bare_words_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    overrides = ["model.name=resnet18", "optimizer.lr = 1e-2", "penalty.strength=0.5", 'name="other"', "clip.norm=1"]
    loaded = recipe.load(path, [*overrides, "optimizer.nesterov=true", "optimizer.momentum=0.9", "steps=20"])
    assert (loaded.model.name, loaded.optimizer.lr, loaded.name, loaded.steps) == ("resnet18", 0.01, "other", 20)
    assert loaded.optimizer == recipe.Sgd(name="sgd", lr=0.01, momentum=0.9, nesterov=True)
    assert loaded.penalty == recipe.Penalty(strength=0.5, epsilon=0.01)
    assert loaded.clip == recipe.Clip(norm=1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 10", 'steps = "10"', 'bad.toml:2: steps = "10": must be a whole number'),
        ("steps = 10", "steps = 10.0", "bad.toml:2: steps = 10.0: must be a whole number"),
        ("steps = 10", "steps = true", "bad.toml:2: steps = true: must be a whole number"),
        ("steps = 10", "steps = 0", "bad.toml:2: steps = 0: must be greater than 0"),
        ("steps = 10", f"steps = {2**63}", f"bad.toml:2: steps = {2**63}: must be less than 9.22337e+18"),
        ("lr = 0.4", "lr = true", "bad.toml:14: optimizer.lr = true: must be a number"),
        ("lr = 0.4", "lr = nan", "bad.toml:14: optimizer.lr = nan: must be a finite number"),
        ("lr = 0.4", "lr = inf", "bad.toml:14: optimizer.lr = inf: must be a finite number"),
        ("lr = 0.4", "lr = -inf", "bad.toml:14: optimizer.lr = -inf: must be a finite number"),
        ("lr = 0.4", "lr = 1e999", "bad.toml:14: optimizer.lr = inf: must be a finite number"),
        (
            "lr = 0.4",
            "lr = 0.4\nnesterov = 1\nmomentum = 1.0",
            "bad.toml:15: optimizer.nesterov = 1: must be true or false\n"
            "bad.toml:16: optimizer.momentum = 1.0: must be less than 1",
        ),
        ("norm = 0.25", "norm = -0.25", "bad.toml:21: clip.norm = -0.25: must be greater than 0"),
        (
            "lr = 0.4",
            "learning_rate = 0.4",
            "bad.toml:12: optimizer.lr is missing\n"
            "bad.toml:14: unknown key optimizer.learning_rate; did you mean optimizer.lr?",
        ),
        (
            "block = 128",
            "block = 128\ndroplast = true",
            "bad.toml:12: unknown key gradient.droplast; did you mean gradient.drop_last?",
        ),
        (
            "norm = 0.25",
            "norm = 0.25\nstrength = 1",
            "bad.toml:22: unknown key clip.strength; did you mean penalty.strength?",
        ),
        ("norm = 0.25", "norm = 0.25\nqwertz = 1", "bad.toml:22: unknown key clip.qwertz"),
        ("[clip]", "[clipp]", "bad.toml:20: unknown key clipp; did you mean clip?"),
        ('"cosine"', '"linear"', f'bad.toml:17: schedule.name = "linear": {SCHEDULES}'),
        ('name = "cosine"', "", "bad.toml:16: schedule.name is missing"),
        ('"cosine"', '"cosine"\nwarmup = -1', "bad.toml:18: schedule.warmup = -1: must be at least 0"),
        ('"cosine"', '"constant"', "bad.toml:18: unknown key schedule.horizon"),
        (SGD, "", "bad.toml: optimizer is missing"),
        (SGD, "[[optimizer]]\n", "bad.toml:12: optimizer = [{}]: must be a section"),
        (
            "block = 128",
            'block = 128\norder = "random"',
            'bad.toml:12: gradient.order = "random": must be "fixed" or "shuffled"',
        ),
        ('"small"', '"../small"', f'bad.toml:1: name = "../small": {NAME_RULE}'),
        ('"small"', '"small\\n"', f'bad.toml:1: name = "small\ufffd": {NAME_RULE}'),
        ("lr = 0.4", "lr = ", "bad.toml:14: not TOML: Invalid value"),
        ("lr = 0.4", "lr = 0.4\nlr = 0.5", "bad.toml:15: not TOML: Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_its_value_and_what_is_right(
    here: Path, old: str, new: str, message: str
) -> None:
    assert fault(changed(old, new)) == message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'dataset = "digits"',
            'dataset = "digits"\ncopies = 2',
            "bad.toml:6: data.copies needs data.augment, or all copies are the same",
        ),
        (
            'dataset = "digits"',
            'dataset = "digits"\ncopy_per_step = true',
            "bad.toml:6: data.copy_per_step needs data.copies",
        ),
        ('"resnet8"', '"vgg16"', "bad.toml:8: model.name vgg16 needs images of at least 32x32 pixels; digits are 8x8"),
        (
            '"resnet8"',
            '"densenet121"\nwidth = 1',
            "bad.toml:9: model.width 1 leaves a densenet121 no channel to grow by; it needs at least 2",
        ),
        ("lr = 0.4", "lr = 0.4\nnesterov = true", "bad.toml:15: optimizer.nesterov needs optimizer.momentum"),
        ("norm = 0.25\n", "", "bad.toml:20: clip.norm is missing"),
        (
            "norm = 0.25",
            "norm = 0.25\n[penalty]\nstrength = 0",
            "bad.toml:23: penalty.strength and penalty.acc_strength are both 0",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(here: Path, old: str, new: str, message: str) -> None:
    assert fault(changed(old, new)) == message


@pytest.mark.parametrize(
    ("settings", "is_buildable"),
    [
        (["model.name=resnet18", "gradient.block=1"], False),
        (["model.name=densenet121", "gradient.block=359"], False),
        (["model.name=resnet50", "data.limit=9", "gradient.block=4"], False),
        (["model.name=resnet50", "data.limit=9", "gradient.block=4", "gradient.drop_last=true"], True),
        (["model.name=resnet50", "data.limit=9", "gradient.block=8", "data.augment=shift", "data.copies=2"], True),
        (["model.name=resnet34", "gradient.block=1", "data.dataset=cifar10"], True),
        (["gradient.block=1"], True),
    ],
)
def test_no_batch_norm_has_to_take_the_variance_of_one_pixel(
    here: Path, settings: list[str], is_buildable: bool
) -> None:
    if is_buildable:
        (here / "good.toml").write_text(GOOD)
        recipe.load(here / "good.toml", settings)
    else:
        assert "leaves a block of one image" in fault(GOOD, *settings)


def test_a_recipe_takes_over_what_it_extends_but_neither_name_nor_target(here: Path) -> None:
    (here / "base").mkdir()
    (here / "base" / "good.toml").write_text(GOOD + '[target]\nval_accuracy = 0.9\nsource = "a paper"\n')
    variant = here / "variant.toml"
    variant.write_text(
        'extends = "base/good.toml"\nname = "variant"\n[optimizer]\nlr = 0.8\n'
        '[schedule]\nname = "constant"\nwarmup = 3\n'
    )
    loaded, base = recipe.load(variant), recipe.load(here / "base" / "good.toml")
    assert loaded == base.model_copy(
        update={
            "name": "variant",
            "optimizer": recipe.Sgd(name="sgd", lr=0.8),
            "schedule": recipe.Constant(name="constant", warmup=3),
            "target": None,
        }
    )


def test_a_fault_is_told_where_it_stands_also_in_the_extended_recipe(here: Path) -> None:
    Path("base.toml").write_text(changed("lr = 0.4", "lr = -1"))
    assert fault('extends = "base.toml"\nname = "variant"\n[clip]\nnorm = "x"\n') == (
        'bad.toml:4: clip.norm = "x": must be a number\nbase.toml:14: optimizer.lr = -1: must be greater than 0'
    )


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ('"other.toml"', "bad.toml:1: extends = other.toml: there is no such file"),
        (
            '"/dev/zero"',
            "bad.toml:1: extends = /dev/zero: neither a .toml file nor the name of a shipped recipe; "
            "`fbmon recipe list` names those that fbmon ships",
        ),
        (
            '"digits/fb_clip"',
            "bad.toml:1: extends = digits/fb_clip: neither a .toml file nor the name of a shipped recipe; "
            "did you mean digits/fb_clipped?",
        ),
        ("3", "bad.toml:1: extends = 3: must be the path of a .toml file or the name of a shipped recipe"),
        (
            '"bad.toml"',
            "./bad.toml:1: extends = bad.toml: one of more than 8 recipes that build on each other, or on themselves",
        ),
    ],
)
def test_what_cannot_be_extended_is_refused(here: Path, extends: str, message: str) -> None:
    assert fault(f"extends = {extends}\n{GOOD}").removeprefix("./") == message.removeprefix("./")


def test_a_shipped_recipe_is_extended_by_its_name_from_anywhere(here: Path) -> None:
    Path("mine.toml").write_text('name = "mine"\nextends = "digits/fb_clipped"\nsteps = 7\n')
    mine, theirs = recipe.load(Path("mine.toml")), recipe.load(recipe.find("digits/fb_clipped"))
    assert mine == theirs.model_copy(update={"name": "mine", "steps": 7, "target": None})


def test_another_optimizer_drops_the_settings_of_the_one_before_and_says_so(here: Path) -> None:
    said: list[str] = []
    found = recipe.load(recipe.find("quickstart"), ["optimizer.name=adamw", "optimizer.lr=1e-3"], said.append)
    assert (found.optimizer.name, found.optimizer.lr) == ("adamw", 1e-3)
    assert said == [
        "--set optimizer.name=adamw: dropped optimizer.momentum, optimizer.nesterov, which it does not have"
    ]
    assert recipe.load(recipe.find("quickstart"), ["schedule.name=constant"], said.append).schedule.name == "constant"
    assert said[1:] == ["--set schedule.name=constant: dropped schedule.horizon, which it does not have"]
    with pytest.raises(RecipeError, match="lbfgs searches for its steps on one and the same loss"):
        recipe.load(recipe.find("quickstart"), ["optimizer.name=lbfgs"], said.append)
    dropped = "optimizer.lr, optimizer.momentum, optimizer.nesterov"
    assert said[2:] == [f"--set optimizer.name=lbfgs: dropped {dropped}, which it does not have"]
    sam = recipe.load(recipe.find("quickstart"), ["penalty.name=sam"], said.append).penalty
    assert sam == recipe.Sam(name="sam")
    assert said[3:] == [
        "--set penalty.name=sam: dropped penalty.method, penalty.strength, penalty.epsilon, which it does not have"
    ]


def test_all_faults_are_told_at_once_each_at_its_line(here: Path) -> None:
    twice = changed("steps = 10", "steps = -10\nepochs = 3").replace("norm = 0.25", "norm = 0")
    assert fault(twice) == (
        "bad.toml:2: steps = -10: must be greater than 0\n"
        "bad.toml:3: unknown key epochs; did you mean steps?\n"
        "bad.toml:22: clip.norm = 0: must be greater than 0"
    )


def test_a_setting_at_fault_is_told_as_it_was_given(here: Path) -> None:
    settings_at_fault = ["optimizer.lr=fast", "steps=0", "schedule.name=linear", "penalty.strength=-1", "clip.nrom=2"]
    assert fault(GOOD, *settings_at_fault) == (
        "--set steps=0: steps = 0: must be greater than 0\n"
        '--set optimizer.lr=fast: optimizer.lr = "fast": must be a number\n'
        f'--set schedule.name=linear: schedule.name = "linear": {SCHEDULES}\n'
        "--set clip.nrom=2: unknown key clip.nrom; did you mean clip.norm?\n"
        "--set penalty.strength=-1: penalty.strength = -1: must be at least 0"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr", "--set lr: must read section.key=value"),
        ("a.b.c=1", "--set a.b.c=1: must read section.key=value"),
        ("\x1b[2J=1", "--set \ufffd[2J=1: must read section.key=value"),
        ("name.first=1", "--set name.first: name is not a section"),
        ("target.source=\udcff", "--set target.source=\ufffd: not UTF-8 text"),
    ],
)
def test_a_setting_that_names_no_key_or_is_no_text_is_refused(here: Path, override: str, message: str) -> None:
    assert fault(GOOD, override) == message


def test_a_recipe_that_is_not_there_is_told_with_the_nearest_one_that_is(here: Path) -> None:
    with pytest.raises(UsageError) as raised:
        recipe.find("quickstrat.toml")
    assert raised.value.message == "quickstrat.toml: no such recipe file, and no shipped recipe of that name"
    assert raised.value.hint == "did you mean quickstart?"
    with pytest.raises(UsageError) as raised:
        recipe.find("zzz")
    assert raised.value.hint == "`fbmon recipe list` names those that fbmon ships"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (".", ".: is a folder, not a recipe"),
        ("x" * 5000, f"{'x' * 199}…: cannot be read: File name too long"),
        ("\0", "\ufffd: no such recipe file, and no shipped recipe of that name"),
    ],
)
def test_a_name_that_can_be_no_recipe_is_refused(here: Path, given: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        recipe.find(given)
    assert raised.value.message == message


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("steps = " + "[" * 600 + "]" * 600, id="arrays nested 600 deep"),
        pytest.param("steps = [\n" * 600 + "]" * 600, id="arrays nested 600 deep on as many lines"),
        pytest.param(".".join("a" * 20_000) + " = 1", id="a key of 20,000 parts"),
        pytest.param(".".join("a" * 2_000) + " = 1", id="a key of 2,000 parts"),
        pytest.param(".".join(['"\u2028"'] * 9_000) + " = 1", id="a key of 9,000 parts with line separators"),
        pytest.param("name = " + ("[\n{" + "a." * 150 + "a = ") * 20 + "1" + "}]" * 20, id="arrays of deep tables"),
        pytest.param(f"steps = {'9' * 5_000}", id="a number of 5,000 digits"),
        pytest.param(f"steps = 0x{'f' * 4_000}", id="a number of 4,817 digits in hexadecimal"),
        pytest.param(f"optimizer.lr = 0x{'f' * 4_000}", id="such a number for a float"),
        pytest.param('name = """\n' + ("[" + " " * 4_000 + "\n") * 15 + '"""', id="headers that never end"),
        pytest.param('name = """\n' + ("a" + " " * 4_000 + "\n") * 15 + '"""', id="keys that never end"),
        pytest.param("schedule.name = " + "[" * 400 + "]" * 400, id="a choice nested 400 deep"),
        pytest.param(b'name = "\xff\xfe"', id="not UTF-8"),
        pytest.param("# " + "x" * 78 + ("\n# " + "x" * 78) * 1_000, id="more than 64 KiB"),
        pytest.param("when = 2023-02-30", id="a day that never was"),
        pytest.param("\0", id="a zero byte"),
    ],
)  # fmt: skip
def test_a_hostile_recipe_is_refused_within_a_second_in_few_words(here: Path, hostile: str | bytes) -> None:
    began = time.process_time()
    message = fault(hostile)
    assert time.process_time() - began < 1
    assert len(message) < 1000
    assert message.startswith("bad.toml")


def test_a_recipe_too_large_or_not_text_is_told_so(here: Path) -> None:
    assert fault("#\n" * 40_000) == "bad.toml: larger than 64 KiB, so not a recipe"
    assert fault("a = 1\n#" + "x" * 5000) == "bad.toml:2: a line of more than 4096 characters, so not a recipe"
    assert fault(b"\xff\xfe") == "bad.toml: not TOML: not UTF-8 text"


@pytest.mark.parametrize("steering", ["\\u001b[2J", "\\u009b31m", "\\u0007", "\\u202E", "\\r"])
def test_what_steers_a_terminal_never_reaches_the_message(here: Path, steering: str) -> None:
    in_value = fault(changed('"digits"', f'"{steering}"'))
    in_key = fault(f'"{steering}" = 1\n{GOOD}')
    in_tag = fault(changed('"cosine"', f'"{steering}"'))
    for message in (in_value, in_key, in_tag):
        assert "\ufffd" in message
        assert clean_lines(message) == message


in_toml = st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.times()
scalars = st.none() | in_toml
keys = st.sampled_from([key.rpartition(".")[2] for key in recipe.flatten(recipe.load(recipe.find("quickstart")))])
values = st.recursive(
    in_toml,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
tables = st.dictionaries(st.sampled_from([*recipe.Recipe.model_fields, "clipp", "\x1b"]), values, max_size=8)


def expect_a_recipe_or_its_faults(path: Path, overrides: list[str]) -> None:
    try:
        loaded = recipe.load(path, overrides)
    except UsageError as error:
        message, of_a_setting = error.message, not isinstance(error, RecipeError)
    else:
        path.write_text(recipe.dump(loaded))
        assert recipe.load(path) == loaded
        return
    assert clean_lines(message) == message
    assert message.startswith("--set " if of_a_setting else (str(path), "--set "))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes") / "any.toml"


@settings(max_examples=150)
@given(
    content=st.binary(max_size=100)
    | st.text("abc.[]{}=\"'\\\n #0123456789_-+eTx\x1b\u2028", max_size=80).map(str.encode)
)
def test_no_file_brings_anything_but_a_recipe_or_its_faults(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    expect_a_recipe_or_its_faults(scratch, [])


@settings(max_examples=250)
@given(table=tables)
def test_no_table_brings_anything_but_a_recipe_or_its_faults(scratch: Path, table: dict[str, Any]) -> None:
    scratch.write_text(tomli_w.dumps(table))
    expect_a_recipe_or_its_faults(scratch, [])


@settings(max_examples=250)
@given(
    key=st.sampled_from(list(recipe.flatten(recipe.load(recipe.find("quickstart"))))) | st.text(max_size=5),
    value=st.text(max_size=12) | st.binary(max_size=4).map(os.fsdecode) | scalars.map(str),
)
def test_no_setting_brings_anything_but_a_recipe_or_its_faults(scratch: Path, key: str, value: str) -> None:
    scratch.write_text(GOOD)
    expect_a_recipe_or_its_faults(scratch, [f"{key}={value}"])
