"""The optimizers by their names: each trains, goes on to the bit, and refuses what it does not take."""

import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from fbmon import recipe as recipes
from fbmon.errors import UsageError
from fbmon.events import CommandTaken, Event, ProgressMade
from fbmon.recipe import PackageOptimizer, Recipe, TorchOptimizer
from fbmon.train.loop import train
from fbmon.train.optimize import make_optimizer

NAMES = [
    *(name for kind in (TorchOptimizer, PackageOptimizer) for name in get_args(kind.model_fields["name"].annotation)),
    "muon", "gd", "lbfgs",
]  # fmt: skip
# New bases at each step, so that the state has what a QR decomposition leaves, columns first in memory.
OF_ITS_OWN: dict[str, dict[str, object]] = {"pytorch_optimizer:SOAP": {"args": {"precondition_frequency": 1}}}
SETTINGS = ("steps=3", "data.limit=40", "data.val_limit=20", "gradient.block=16", "model.width=2", "schedule.warmup=0")


def with_optimizer(tiny: Path, **settings: object) -> Recipe:
    table = recipes.load(tiny, SETTINGS).model_dump(exclude_none=True, exclude={"clip", "schedule"})
    rate: dict[str, object] = {} if settings["name"] == "lbfgs" else {"lr": 1e-3}
    return Recipe.model_validate(table | {"schedule": {"name": "constant"}, "optimizer": rate | settings})


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_stopped_and_resumed_has_the_bits_of_one_that_was_not(
    name: str, tiny: Path, tmp_path: Path
) -> None:
    recipe = with_optimizer(tiny, name=name, **OF_ITS_OWN.get(name, {}))
    train(recipe, "cpu", None, tmp_path / "whole", lambda _: None, lambda: None)
    events: list[Event] = []

    def stop() -> CommandTaken | None:
        return CommandTaken("stop", "the test") if events[-1] == ProgressMade("training", 3, 1, 3) else None

    assert train(recipe, "cpu", None, tmp_path / "halves", events.append, stop) == "stopped"
    assert (tmp_path / "halves" / "step-00000002").is_dir()
    train(recipe, "cpu", None, tmp_path / "halves", lambda _: None, lambda: None, resume=True)
    whole, halves = (tmp_path / run / "step-00000003" / "tensors.safetensors" for run in ("whole", "halves"))
    assert whole.read_bytes() == halves.read_bytes()


@pytest.mark.parametrize(
    ("settings", "told", "hint"),
    [
        ({"args": {"alhpa": 0.9}},
         "optimizer.args.alhpa: torch.optim.RMSprop has no such argument", "did you mean alpha?"),
        ({"args": {"foreach": False}}, "optimizer.args.foreach: torch.optim.RMSprop has no such argument", ""),
        ({"args": {"alpha": -1.0}}, "optimizer.args: torch.optim.RMSprop says: Invalid alpha value: -1.0", ""),
        ({"name": "pytorch_optimizer:SOAP", "args": {"foreach": True}},
         "optimizer.args.foreach: pytorch_optimizer.SOAP has no such argument", ""),
        ({"name": "pytorch_optimizer:SOAP", "args": {"precondition_frequencies": 1}},
         "optimizer.args.precondition_frequencies: pytorch_optimizer.SOAP has no such argument",
         "did you mean precondition_frequency?"),
        ({"name": "torch.optim:Rprop", "weight_decay": 0.1},
         "optimizer.args.weight_decay: torch.optim.Rprop has no such argument", ""),
    ],
)  # fmt: skip
def test_what_an_optimizer_does_not_take_is_refused(
    settings: dict[str, object], told: str, hint: str, tiny: Path
) -> None:
    section = with_optimizer(tiny, **{"name": "torch.optim:RMSprop", **settings}).optimizer
    with pytest.raises(UsageError) as raised:
        make_optimizer(nn.Linear(2, 2), section)
    assert raised.value.message == told
    assert hint in raised.value.hint


def test_arguments_and_weight_decay_reach_torch(tiny: Path) -> None:
    section = with_optimizer(
        tiny, name="torch.optim:NAdam", weight_decay=0.1, decay_on="weights", args={"betas": [0.8, 0.9]}
    ).optimizer
    optimizer = make_optimizer(nn.Linear(2, 2), section)
    assert isinstance(optimizer, torch.optim.NAdam)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.9)}


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(UsageError) as raised:
        make_optimizer(nn.Linear(2, 2), with_optimizer(tiny, name="pytorch_optimizer:Shampoo").optimizer)
    assert (raised.value.message, raised.value.hint) == (
        'optimizer.name = "pytorch_optimizer:Shampoo": the package pytorch-optimizer is not installed',
        "pip install 'fbmon[optimizers]'",
    )


class Reader(nn.Module):
    """A network with all kinds of layers, whose names say what trains their matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.adamw_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.adamw_embedding = nn.Embedding(8, 4)
        self.muon_convolution = nn.Conv1d(4, 4, 3)
        self.muon_attention = nn.MultiheadAttention(4, 2)
        self.adamw_norm = nn.LayerNorm(4)
        self.muon_linear = nn.Linear(4, 4)
        self.adamw_output = nn.Linear(4, 2)


def test_muon_has_the_matrices_of_hidden_layers_and_adamw_all_else(tiny: Path) -> None:
    section = with_optimizer(tiny, name="muon", weight_decay=0.1, decay_on="weights").optimizer
    model = Reader()
    optimizer = make_optimizer(model, section)
    names = {parameter: name for name, parameter in model.named_parameters()}
    muon, decayed, others = ([names[parameter] for parameter in group["params"]] for group in optimizer.param_groups)
    assert muon == [
        "muon_convolution.weight", "muon_attention.in_proj_weight", "muon_attention.out_proj.weight",
        "muon_linear.weight",
    ]  # fmt: skip
    assert decayed == ["adamw_token", "adamw_embedding.weight", "adamw_output.weight"]
    assert set(others) == set(names.values()) - {*muon, *decayed}


def test_muon_takes_the_step_of_its_authors_on_a_convolution_whatever_its_memory_layout(tiny: Path) -> None:
    """One step with momentum 0 is that of an orthogonal matrix: all singular values near 1, times the learning rate."""
    torch.manual_seed(0)
    hidden = nn.Conv2d(4, 16, 3)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), hidden, nn.Conv2d(16, 2, 3))
    model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, with_optimizer(tiny, name="muon", lr=0.5, ns_steps=9).optimizer)
    kernel = hidden.weight
    before = kernel.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    assert kernel.grad is not None
    gradient = kernel.grad.flatten(1)
    optimizer.step()
    moved = (before - kernel.detach()).flatten(1) / 0.5
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    assert torch.linalg.svdvals(moved).sub(1).abs().max() < 0.4
    assert (moved * (u @ v)).sum() / 16 > 0.8


def test_a_network_without_hidden_layers_is_not_for_muon(tiny: Path) -> None:
    with pytest.raises(UsageError, match="no linear or convolutional layer between its first and last"):
        make_optimizer(nn.Linear(2, 2), with_optimizer(tiny, name="muon").optimizer)
