"""Images of the user's own in an .npz file: found beside the recipe, refused in one sentence, and never unpickled."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from fbmon import recipe as recipes
from fbmon.errors import RecipeError
from fbmon.train.data.load import load
from fbmon.train.data.own import facts_of

CPU = torch.device("cpu")


class Canary:
    """What touches a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.fixture
def mine(tiny: Path) -> Path:
    """A recipe with ten grey images of 8x8 beside it, of 4 classes."""
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8), dtype=np.uint8)
    np.savez(tiny.parent / "mine.npz", x=images, y=np.arange(10) % 4)
    file = tiny.parent / "mine.toml"
    file.write_text(
        f'name = "mine"\nextends = "{tiny.name}"\n\n[data]\ndataset = "mine.npz"\nval_share = 0.3\n\n'
        "[gradient]\nblock = 4\n"
    )
    return file


def test_a_share_is_held_out_the_same_in_every_run_and_the_network_sees_mean_zero_and_deviation_one(mine: Path) -> None:
    recipe = recipes.load(mine, ["data.limit=100", "data.val_limit=100"])
    section = recipe.data
    assert section.dataset == str(mine.parent / "mine.npz")
    facts, data, again = facts_of(recipe), *(load(section, None, CPU, lambda _: None) for _ in range(2))
    assert (facts.train, facts.val, facts.form.classes, facts.form.shape) == (7, 3, 4, (1, 8, 8))
    assert (len(data.train), len(data.val), data.form.classes) == (7, 3, 4)
    assert torch.equal(data.val.inputs[:], again.val.inputs[:])
    seen = data.prepare(data.train.inputs[:], torch.float64)
    assert float(seen.mean()) == pytest.approx(0, abs=1e-9)
    assert float(seen.std(correction=0)) == pytest.approx(1)
    every = {picture.numpy().tobytes() for images in (data.train, data.val) for picture in images.inputs[:]}
    assert len(every) == 10


@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (6, 8, 8, 3)])
def test_colours_may_come_first_or_last_and_the_file_may_have_its_own_validation(
    shape: tuple[int, ...], mine: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
    images = pixels if shape[1] == 3 else pixels.transpose(0, 2, 3, 1)
    np.savez(mine.parent / "own.npz", x=images, y=np.arange(6), x_val=images[:2], y_val=np.arange(2))
    text = mine.read_text().replace("mine.npz", "own.npz").replace("val_share = 0.3\n", "")
    mine.write_text(text)
    data = load(recipes.load(mine).data, None, CPU, lambda _: None)
    assert np.array_equal(data.train.inputs[:].numpy(), pixels)
    assert np.array_equal(data.val.inputs[:].numpy(), pixels[:2])


IMAGES = np.zeros((4, 8, 8), np.uint8)
LABELS = np.zeros(4, int)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"y": LABELS}, "has no array x, but y"),
        ({"x": IMAGES}, "has no array y, but x"),
        ({"x": IMAGES.astype(str), "y": LABELS}, "x is of type text, but must be whole or floating-point numbers"),
        ({"x": IMAGES[:0], "y": LABELS[:0]}, "x has the shape (0, 8, 8): nothing is in it"),
        ({"x": IMAGES[:, None, None], "y": LABELS},
         "x is uint8 of shape (4, 1, 1, 8, 8), but images are (N, H, W), (N, C, H, W) or (N, H, W, C)"),
        ({"x": LABELS, "y": LABELS},
         "x has the shape (4,); an input has a shape of its own, so two dimensions or more"),
        ({"x": IMAGES, "y": LABELS[:3]}, "y has the shape (3,), but x has 4 samples"),
        ({"x": IMAGES, "y": LABELS + 0.5},
         "loss.name cross_entropy needs classes; the targets of mine.npz are numbers, as for mse"),
        ({"x": IMAGES, "y": LABELS - 1}, "y has the label -1; labels count from 0"),
        ({"x": IMAGES, "y": LABELS, "x_val": IMAGES}, "has only one of x_val and y_val"),
        ({"x": IMAGES, "y": LABELS, "x_val": IMAGES[:, :4, :4], "y_val": LABELS},
         "x_val is of another shape or type than x: (4, 4) and (8, 8)"),
        ({"x": IMAGES, "y": LABELS, "x_val": IMAGES, "y_val": LABELS},
         "has its own samples for validation: leave data.val_share out"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_sentence(arrays: dict[str, np.ndarray], told: str, mine: Path) -> None:
    np.savez(mine.parent / "mine.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(RecipeError) as raised:
        recipes.load(mine)
    assert raised.value.message == f'{mine}:5: data.dataset = "mine.npz": {told}'


def test_a_file_that_is_none_or_not_there_or_holds_objects_is_refused_and_nothing_in_it_is_run(mine: Path) -> None:
    canary = mine.parent / "canary"
    assert pickle.loads(pickle.dumps(Canary(canary))) is None
    canary.unlink()
    np.savez(mine.parent / "objects.npz", x=np.array([Canary(canary)] * 4, dtype=object), y=LABELS)
    (mine.parent / "text.npz").write_text("no archive")
    for name, told in (("objects", "x holds Python objects, which are never loaded"),
                       ("text", "is not an .npz file: File is not a zip file"),
                       ("none", "cannot be read: No such file or directory")):  # fmt: skip
        with pytest.raises(RecipeError, match=f'data.dataset = "{name}.npz": {told}'):
            recipes.load(mine, [f"data.dataset={name}.npz"])
    assert not canary.exists()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("model.name=vgg16", "model.name vgg16 needs images of at least 32x32 pixels; mine.npz are 8x8"),
        (
            "data.dataset=digts",
            "must be one of digits, mnist, fashion_mnist, svhn, cifar10, cifar100, FILE.npz, "
            "folder:DIR, FILE.py:NAME, PACKAGE.MODULE:NAME; did you mean digits?",
        ),
        ("data.dataset=digits", "data.val_share is for data of your own; digits has its own"),
    ],
)
def test_what_does_not_go_with_the_images_is_refused(setting: str, told: str, mine: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        recipes.load(mine, [setting])
    assert told in raised.value.message
