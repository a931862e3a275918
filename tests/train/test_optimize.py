"""The optimizers by their names: each trains, goes on to the bit, and refuses what it does not take."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from fbmon import recipe as recipes
from fbmon.errors import UsageError
from fbmon.events import CommandTaken, Event, ProgressMade
from fbmon.recipe import Recipe, TorchOptimizer
from fbmon.train.loop import train
from fbmon.train.optimize import make_optimizer

NAMES = [*get_args(TorchOptimizer.model_fields["name"].annotation), "gd", "lbfgs"]
SETTINGS = ("steps=3", "data.limit=40", "data.val_limit=20", "gradient.block=16", "model.width=2", "schedule.warmup=0")


def with_optimizer(tiny: Path, **settings: object) -> Recipe:
    table = recipes.load(tiny, SETTINGS).model_dump(exclude_none=True, exclude={"clip", "schedule"})
    return Recipe.model_validate(table | {"schedule": {"name": "constant"}, "optimizer": {"lr": 1e-3, **settings}})


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_stopped_and_resumed_has_the_bits_of_one_that_was_not(
    name: str, tiny: Path, tmp_path: Path
) -> None:
    recipe = with_optimizer(tiny, name=name)
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
