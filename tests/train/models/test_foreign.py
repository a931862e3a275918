"""Networks of others: trained like fbmon's own, random ones too; what cannot be one is refused in one sentence."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fbmon import recipe as recipes
from fbmon.errors import UsageError
from fbmon.events import CommandTaken, Event, ProgressMade, TrainingStarted
from fbmon.recipe.data_sets import image_form
from fbmon.train.flop import count, count_forward
from fbmon.train.loop import train
from fbmon.train.models import make_model
from fbmon.train.models.foreign import load_network
from fbmon.train.randomness import random_parts
from fbmon.train.ranks.distribute import Ranks
from tests.shell import Fbmon

NETWORK = '''
import torch
from torch import nn

class Net(nn.Module):
    """A perceptron with layer norm, batch norm of one dimension, and dropout."""

    def __init__(self, classes, channels, side, width=8, rate=0.5):
        super().__init__()
        self.first = nn.Linear(channels * side**2, width)
        self.norms = nn.Sequential(nn.LayerNorm(width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(rate))
        self.unused = nn.Linear(width, 2)
        self.last = nn.Linear(width, classes)

    def forward(self, images):
        return self.last(self.norms(self.first(images.flatten(1))))

def broken(**_):
    raise ValueError("of its own")

def leaving(**_):
    raise SystemExit("with these words")

class Counting(Net):
    def __init__(self, classes, channels, side):
        super().__init__(classes, channels, side)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, images):
        self.count = self.count + self.training
        return super().forward(images)

def slow(classes, channels, side):
    net = Net(classes, channels, side)
    net.norms[1].momentum = 0.01
    return net

def four(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
'''
SETTINGS = ("steps=3", "data.limit=40", "data.val_limit=20", "gradient.block=16", "penalty.strength=0.5")


@pytest.fixture
def mine(tiny: Path) -> Path:
    (tiny.parent / "net.py").write_text(NETWORK)
    file = tiny.parent / "mine.toml"
    file.write_text(f'name = "mine"\nextends = "{tiny.name}"\n\n[model]\nname = "net.py:Net"\n')
    return file


def tensors(checkpoints: Path) -> bytes:
    return (checkpoints / "step-00000003" / "tensors.safetensors").read_bytes()


def test_a_random_network_that_is_stopped_within_a_step_and_resumed_has_the_bits_of_one_that_was_not(
    mine: Path, tmp_path: Path
) -> None:
    recipe = recipes.load(mine, SETTINGS)
    events: list[Event] = []
    train(recipe, "cpu", None, tmp_path / "whole", events.append, lambda: None)
    (started,) = (event for event in events if isinstance(event, TrainingStarted))
    assert (started.random_parts, started.code) == (["Dropout"], "net.py:Net")

    def stop() -> CommandTaken | None:
        return CommandTaken("stop", "the test") if halves[-1] == ProgressMade("training", 2, 1, 3) else None

    halves: list[Event] = []
    assert train(recipe, "cpu", None, tmp_path / "halves", halves.append, stop) == "stopped"
    train(recipe, "cpu", None, tmp_path / "halves", halves.append, lambda: None, resume=True)
    assert tensors(tmp_path / "halves") == tensors(tmp_path / "whole")


def test_it_has_the_same_bits_in_two_processes_and_goes_on_with_its_own_code_only(mine: Path, fbmon: Fbmon) -> None:
    for devices, name in (("cpu", "one"), ("cpu:2", "two")):
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        ended = fbmon("run", mine, "--no-ui", "--devices", devices, "--name", name, *settings)
        assert ended.returncode == 0, ended.stderr
        assert "this network is stochastic: Dropout" in ended.stdout
    one, two = (next(fbmon.runs_dir.glob(f"{name}-*")) for name in ("one", "two"))
    assert tensors(one / "checkpoints") == tensors(two / "checkpoints")
    (mine.parent / "net.py").write_text("raise SystemExit('a newer one')")
    assert "the same bits" in fbmon("verify", one.name, "--devices", "cpu", "--steps", "1").stdout
    (one / "net.py").write_text(NETWORK + "# changed\n")
    refused = fbmon("resume", one.name, "--no-ui")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"fbmon: {one / 'net.py'}: changed since the run began, by its SHA-256\n")


def test_a_file_may_be_called_like_a_module_of_pythons_and_import_from_beside_it_when_it_is_called(mine: Path) -> None:
    import statistics

    (mine.parent / "parts.py").write_text(NETWORK)
    late = "def net(classes, channels, side):\n    from parts import Net\n    return Net(classes, channels, side)\n"
    (mine.parent / "statistics.py").write_text(late)
    section = recipes.load(mine, ["model.name=statistics.py:net"]).model
    assert make_model(section, image_form(1, 8, 10))(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert sys.modules["statistics"] is statistics


def test_a_rank_with_another_version_of_the_code_is_refused(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranks, "share", lambda _ranks, own: own + b"changed")
    with pytest.raises(UsageError, match=r"net\.py:Net: rank 0 has another version of the code than rank 0"):
        train(recipes.load(mine, SETTINGS), "cpu", None, tmp_path / "checkpoints", lambda _: None, lambda: None)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("net.py:broken", r"ValueError: of its own \(net.py:\d+\)"),
        ("net.py:leaving", r"SystemExit: with these words"),
        ("net.py:four", r"returned \(2, 4\) for 2 times an image of \(1, 8, 8\), not logits \(2, 10\)"),
        ("net.py:nn", "TypeError: .* is not a callable object"),
        ("net.py:slow", "has a batch norm whose momentum is not 0.1"),
        ("torch.nn:Flatten", "has no parameters"),
        ("torchvision:resnet17", "AttributeError: module 'torchvision.models' has no attribute 'resnet17'"),
        ("nowhere_to_be_found:Net", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ],
)
def test_what_makes_no_network_is_refused_in_one_sentence(mine: Path, name: str, told: str) -> None:
    section = recipes.load(mine, [f"model.name={name}"]).model
    assert section.reference
    with pytest.raises(UsageError, match=told) as raised:
        load_network(section.reference, section, image_form(1, 8, 10))
    assert raised.value.message.startswith(f'model.name = "{name}": ')


def test_a_network_that_remembers_something_from_pass_to_pass_is_refused(mine: Path) -> None:
    section = recipes.load(mine, ["model.name=net.py:Counting"]).model
    assert section.reference
    with pytest.raises(UsageError, match="count changes from pass to pass, and is not batch norm's"):
        load_network(section.reference, section, image_form(1, 8, 10))


def test_a_network_of_torchvision_is_made_for_the_classes_at_hand_and_has_torchs_own_count_of_flop(mine: Path) -> None:
    section = recipes.load(mine, ["model.name=torchvision:resnet18"]).model
    network = make_model(section, image_form(3, 32, 10))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    forward = count_forward(network, image_form(3, 32, 10))
    assert forward == pytest.approx(74e6, rel=0.02)  # twice the 37 million products that are known of it
    assert 2.9 < count(network, image_form(3, 32, 10), None) / forward < 3


def test_what_is_random_is_named_and_what_is_not_is_not() -> None:
    class Noisy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + torch.rand(1)

    images = torch.ones(2, 1, 4, 4)
    assert random_parts(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout(0.0)), images) == []
    assert random_parts(nn.Sequential(nn.Dropout2d(0.5), nn.Identity()), images) == ["Dropout2d"]
    assert random_parts(Noisy(), images) == ["random numbers of its own"]
