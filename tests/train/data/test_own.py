"""Anyone's data and networks, as docs/own has them: killed or shared by processes, a run has the same bits."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fbmon import recipe as recipes
from fbmon.errors import FbmonError
from fbmon.events import CommandTaken, Event, ProgressMade, StepTaken, TrainingStarted, Validated
from fbmon.recipe.data_sets import Form
from fbmon.train.data.load import load
from fbmon.train.loop import train
from tests.shell import Fbmon

CPU = torch.device("cpu")
EXAMPLES = Path(__file__).parents[3] / "docs" / "own"
FEW = {
    "vit": ["data.limit=60", "data.val_limit=20", "gradient.block=20"],
    "text": ["data.args.samples=64", "gradient.block=16"],
    "curve": ["data.limit=40", "gradient.block=16"],
}


def tensors(folder: Path) -> bytes:
    return (folder / "step-00000003" / "tensors.safetensors").read_bytes()


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples, as a user has it, with the data that one of them writes."""
    home = tmp_path / "own"
    shutil.copytree(EXAMPLES, home, ignore=shutil.ignore_patterns("*.npz"))
    script = home / "curve.py"
    exec(compile(script.read_text(), script, "exec"), {"__name__": "__main__", "__file__": str(script)})
    return home


@pytest.mark.parametrize("name", FEW)
def test_an_example_that_is_stopped_within_a_step_and_one_on_two_processes_have_the_bits_of_one_that_is_not(
    name: str, examples: Path, fbmon: Fbmon
) -> None:
    settings = ["steps=3", *FEW[name]]
    recipe = recipes.load(examples / f"{name}.toml", settings)
    events: list[Event] = []
    assert train(recipe, "cpu", None, examples / "whole", events.append, lambda: None) == "finished"

    def stop() -> CommandTaken | None:
        return CommandTaken("stop", "the test") if halves[-1:] == [ProgressMade("training", 3, 1, blocks)] else None

    halves: list[Event] = []
    blocks = next(event.blocks for event in events if isinstance(event, TrainingStarted))
    assert train(recipe, "cpu", None, examples / "halves", halves.append, stop) == "stopped"
    assert train(recipe, "cpu", None, examples / "halves", halves.append, lambda: None, resume=True) == "finished"
    assert tensors(examples / "halves") == tensors(examples / "whole")
    words = [word for setting in settings for word in ("--set", setting)]
    ended = fbmon("run", examples / f"{name}.toml", "--no-ui", "--devices", "cpu:2", *words, OMP_NUM_THREADS="1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert tensors(fbmon.run_folder().checkpoints) == tensors(examples / "whole")


def test_a_validation_of_numbers_is_judged_by_its_loss(examples: Path, fbmon: Fbmon) -> None:
    ended = fbmon("run", examples / "curve.toml", "--no-ui", "--set", "steps=30", "--set", "validation.every=1")
    last = ended.stdout.splitlines()[-1]
    assert ended.returncode == 0
    assert "validation loss 0." in last
    assert "accuracy" not in ended.stdout
    name = fbmon.run_folder().path.name
    flat = fbmon("flatness", name, "--directions", "2", "--devices", "cpu").stdout.splitlines()[1].split()
    assert (flat[:2], flat[3], flat[-1]) == ([name, "30"], "–", "–")
    assert "accuracy" not in fbmon("landscape", name, "--directions", "1", "--devices", "cpu").stdout
    assert "val loss" in fbmon("runs").stdout.splitlines()[0]


def write_pictures(folder: Path, mode: str = "RGB") -> None:
    made = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3)):
        for label in ("cat", "dog"):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                shape = (9, 8, 3) if mode == "RGB" else (9, 8)
                pixels = made.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(pixels, mode).save(folder / part / label / f"{number}.png")


@pytest.fixture
def pictures(tiny: Path) -> Path:
    write_pictures(tiny.parent / "pets")
    file = tiny.parent / "pets.toml"
    text = f'name = "pets"\nextends = "{tiny.name}"\n\n[data]\ndataset = "folder:pets"\n\n[model]\nname = "mlp"\n'
    file.write_text(text)
    return file


@pytest.mark.parametrize("stream", [False, True])
def test_a_folder_of_pictures_has_a_class_for_each_folder(pictures: Path, stream: bool) -> None:
    data = load(recipes.load(pictures, [f"data.stream={stream}".lower()]).data, None, CPU, lambda _: None)
    assert data.form == Form("images", (3, 9, 8), 2)
    assert (data.train.targets.tolist(), data.val.targets.tolist()) == ([0] * 6 + [1] * 6, [0] * 3 + [1] * 3)
    with Image.open(pictures.parent / "pets" / "train" / "dog" / "2.png") as picture:
        assert np.array_equal(data.train.inputs[:][8].permute(1, 2, 0).numpy(), np.asarray(picture))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "train/cat/3.png").write_bytes(b"none"), "train/cat/3.png is no picture: "),
        (
            lambda folder: Image.new("RGB", (8, 8)).save(folder / "train/dog/1.png"),
            "train/dog/1.png has 8x8 pixels, the first has 9x8",
        ),
        (lambda folder: (folder / "val/fox").mkdir(), "has pictures of a class for validation alone: fox"),
        (lambda folder: shutil.rmtree(folder / "val"), "has a folder train, but no folder val"),
        (shutil.rmtree, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(
    spoil: Callable[[Path], object], told: str, pictures: Path
) -> None:
    spoil(pictures.parent / "pets")
    with pytest.raises(FbmonError) as raised:
        load(recipes.load(pictures).data, None, CPU, lambda _: None)
    assert told in raised.value.message
    assert "pets" in raised.value.message


LOADERS = """
import numpy as np

def nothing(): return 5
def lists(): return [[1.0]], [0]
def nan(): return np.array([[1.0, 2.0], [np.nan, 1.0]] * 5), np.arange(10) % 2
def one(): return {"x": np.ones((10, 2)), "z": np.arange(10)}
def labels(): return np.ones((10, 2)), np.arange(10) - 4
def broken(): raise OSError("its disk is gone")
def numbers(count=10): return np.ones((count, 2)), np.ones(count)
"""


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("nothing", "returned a int, not arrays x and y, perhaps x_val and y_val"),
        ("lists", "returned x as a list, not as an array or a tensor"),
        ("nan", "x is not finite in sample "),
        ("one", "has no array y, but x, z"),
        ("labels", "y has the label -4; labels count from 0"),
        ("broken", "OSError: its disk is gone (loaders.py:9)"),
        ("numbers", "loss.name cross_entropy needs classes; the targets of loaders.py:numbers are numbers, as for mse"),
        ("absent", "loaders.py defines no absent, but np, nothing, "),
    ],
)
def test_what_is_wrong_with_what_a_function_returns_is_one_sentence(function: str, told: str, tiny: Path) -> None:
    (tiny.parent / "loaders.py").write_text(LOADERS)
    words = [f"data.dataset=loaders.py:{function}", "data.val_share=0.5", "model.name=mlp"]
    with pytest.raises(FbmonError) as raised:
        train(recipes.load(tiny, words), "cpu", None, tiny.parent / "checkpoints", lambda _: None, lambda: None)
    assert told in raised.value.message
    assert f"loaders.py:{function}" in raised.value.message


def test_a_loss_of_ones_own_is_minimized_and_what_is_none_is_refused(tiny: Path) -> None:
    (tiny.parent / "losses.py").write_text(
        "import torch\n\ndef hinge(outputs, targets):\n"
        "    right = outputs.gather(1, targets[:, None])\n    return (1 + outputs - right).clamp(min=0).mean()\n\n"
        "def text(outputs, targets):\n    return 'low'\n"
    )
    events: list[Event] = []
    recipe = recipes.load(tiny, ["loss.name=losses.py:hinge", "steps=8"])
    assert train(recipe, "cpu", None, tiny.parent / "one", events.append, lambda: None) == "finished"
    losses = [event.values["loss"] for event in events if isinstance(event, StepTaken)]
    validated = next(event for event in events if isinstance(event, Validated))
    assert losses[-1] < losses[0]  # type: ignore[operator]
    assert {"val_loss", "val_accuracy"} == set(validated.values)
    recipe = recipes.load(tiny, ["loss.name=losses.py:text", "steps=8"])
    with pytest.raises(FbmonError, match=r"losses\.py:text"):
        train(recipe, "cpu", None, tiny.parent / "two", events.append, lambda: None)


def test_looking_runs_no_code_of_the_recipe(tiny: Path, fbmon: Fbmon) -> None:
    canary, module = tiny.parent / "canary", tiny.parent / "mine.py"
    module.write_text(
        f"from pathlib import Path\nPath({str(canary)!r}).write_text('run')\n"
        "import numpy as np\nfrom torch import nn\n\n"
        "def load():\n    return np.ones((8, 4)), np.arange(8.0)\n\n"
        "def net():\n    return nn.Linear(4, 1)\n\n"
        "def loss(outputs, targets):\n    return (outputs - targets).square().mean()\n"
    )
    mine = tiny.parent / "mine.toml"
    settings = ["data.dataset=mine.py:load", "data.val_share=0.25", "model.name=mine.py:net", "loss.name=mine.py:loss"]
    words = [word for setting in [*settings, "steps=2"] for word in ("--set", setting)]
    mine.write_text(tiny.read_text())
    assert fbmon("run", mine, "--no-ui", *words).returncode == 0
    assert canary.exists()
    name = fbmon.run_folder().path.name
    for command in (["recipe", "show", mine, *words], ["recipe", "check", mine], ["watch", name], ["show", name],
                    ["compare", name], ["runs"], ["export", name, "--to", "one.csv"], ["stop", name]):  # fmt: skip
        canary.unlink(missing_ok=True)
        fbmon(*command)
        assert not canary.exists(), command
    for command in (
        ["plan", mine, *words],
        ["verify", name],
        ["flatness", name, "--directions", "1"],
    ):
        canary.unlink(missing_ok=True)
        fbmon(*command)
        assert canary.exists(), command


@pytest.mark.parametrize("network", ["resnet8", "resnet18", "resnet50", "densenet121", "bn.py:net"])
def test_images_of_any_size_are_trained_on_whatever_the_number_of_threads(
    network: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 13, 10, 3), dtype=np.uint8)
    np.savez(tiny.parent / "odd.npz", x=pixels, y=np.arange(20) % 3)
    (tiny.parent / "bn.py").write_text(
        "from torch import nn\n\ndef net(classes, features):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(features, 4), nn.BatchNorm1d(4), nn.Linear(4, classes))\n"
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny.parent))  # where the best number would be remembered
    torch.set_num_threads(2)
    words = ["data.dataset=odd.npz", "data.val_share=0.2", f"model.name={network}", "gradient.block=8", "steps=1"]
    assert train(recipes.load(tiny, words), "cpu", None, tiny.parent / "c", lambda _: None, lambda: None) == "finished"


def test_a_loss_of_ones_own_is_given_numbers_in_the_outputs_dtype(tiny: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))  # float64, as numpy has it, and so are the targets
    np.savez(tiny.parent / "mine.npz", x=x, y=x.sum(1))
    (tiny.parent / "mine.py").write_text(
        "from torch.nn.functional import huber_loss\n\ndef loss(outputs, targets):\n"
        "    assert outputs.dtype == targets.dtype\n    return huber_loss(outputs, targets)\n"
    )
    words = ["data.dataset=mine.npz", "data.val_share=0.2", "model.name=mlp", "loss.name=mine.py:loss", "steps=1"]
    assert train(recipes.load(tiny, words), "cpu", None, tiny.parent / "c", lambda _: None, lambda: None) == "finished"
