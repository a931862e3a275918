"""Updates after every block: SGD in the same code, and switching between the two."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fbmon import metrics, recipe
from fbmon.events import CommandTaken, Event, PassRepeated, ProgressMade, StepTaken
from fbmon.recipe import Ema, Gradient, Recipe
from fbmon.train.average import Average
from fbmon.train.loop import train
from fbmon.train.objective.loss import CrossEntropy
from fbmon.train.step_plan import is_by_block

CLOCKS = {metric.name for metric in metrics.STEP if metric.name.endswith(("_seconds", "_second", "flop_share"))}


def load(tiny: Path, **settings: object) -> Recipe:
    few = {"steps": 3, "data.limit": 64, "data.val_limit": 32, "gradient.block": 16, "schedule.warmup": 0}
    asked = few | {key.replace("__", "."): value for key, value in settings.items()}
    return recipe.load(tiny, [f"{key}={value}" for key, value in asked.items()])


def run(wanted: Recipe, checkpoints: Path) -> list[Event]:
    events: list[Event] = []
    assert train(wanted, "cpu", None, checkpoints, events.append, lambda: None) == "finished"
    return events


def values(events: list[Event]) -> list[dict[str, float | None]]:
    steps = [event.values for event in events if isinstance(event, StepTaken)]
    return [{name: value for name, value in step.items() if name not in CLOCKS} for step in steps]


def test_the_mode_changes_at_the_step_that_is_named_and_stays() -> None:
    plain = Gradient(block=8)
    assert [is_by_block(plain, step) for step in (1, 2, 3)] == [False, False, False]
    assert [is_by_block(Gradient(block=8, update="block"), step) for step in (1, 2, 3)] == [True, True, True]
    assert [is_by_block(Gradient(block=8, switch_at=2), step) for step in (1, 2, 3)] == [False, True, True]
    back = Gradient(block=8, update="block", switch_at=3)
    assert [is_by_block(back, step) for step in (1, 2, 3)] == [True, True, False]


def test_a_run_that_switches_is_full_batch_before_and_moves_on_as_sgd(tiny: Path, tmp_path: Path) -> None:
    full = values(run(load(tiny), tmp_path / "full"))
    switched = values(run(load(tiny, gradient__switch_at=3), tmp_path / "switched"))
    assert switched[:2] == full[:2]
    assert switched[2] != full[2]


def test_with_one_block_sgd_and_full_batch_are_the_same(tiny: Path, tmp_path: Path) -> None:
    full = run(load(tiny, gradient__block=64), tmp_path / "full")
    sgd = run(load(tiny, gradient__block=64, gradient__update="block"), tmp_path / "sgd")
    for one, other in zip(values(full), values(sgd), strict=True):
        del one["param_norm"], one["full_loss"], other["param_norm"], other["full_loss"]  # told after the pass by SGD
        assert one == other
    assert not any(isinstance(event, PassRepeated) for event in sgd)


@pytest.mark.parametrize(("update", "block"), [("full", 64), ("block", 16)])
def test_where_an_update_has_one_block_its_gradient_is_the_full_one_that_a_penalty_may_name(
    update: str, block: int, tiny: Path, tmp_path: Path
) -> None:
    def penalized(**strengths: float) -> list[dict[str, float | None]]:
        settings = {f"penalty__{name}": value for name, value in strengths.items()}
        wanted = load(tiny, gradient__block=block, gradient__update=update, **settings)
        return values(run(wanted, tmp_path / "-".join(strengths)))

    assert penalized(strength=0.0, acc_strength=0.5) == penalized(strength=0.5)


def test_mean_statistics_are_those_of_all_blocks_of_a_pass_of_sgd(tiny: Path, tmp_path: Path) -> None:
    def statistics(update: str) -> dict[str, torch.Tensor]:
        settings = {"steps": 1, "schedule__warmup": 1, "model__running_statistics": "mean", "gradient__update": update}
        run(load(tiny, **settings), tmp_path / update)  # the first step of a warm-up moves no weight
        found = load_file(tmp_path / update / "step-00000001" / "tensors.safetensors")
        return {name: value for name, value in found.items() if "running" in name}

    full, sgd = statistics("full"), statistics("block")
    assert full
    assert all(torch.equal(sgd[name], value) for name, value in full.items())


def test_a_stop_in_the_middle_of_a_pass_of_sgd_leaves_the_last_whole_step(tiny: Path, tmp_path: Path) -> None:
    wanted = load(tiny, gradient__update="block")
    run(wanted.model_copy(update={"steps": 1}), tmp_path / "whole")
    events: list[Event] = []

    def next_command() -> CommandTaken | None:
        return CommandTaken("stop", "the test") if events[-1] == ProgressMade("training", 2, 3, 4) else None

    assert train(wanted, "cpu", None, tmp_path / "stopped", events.append, next_command) == "stopped"
    name = "step-00000001/tensors.safetensors"
    assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_average_follows_the_weights_and_the_statistics() -> None:
    model = nn.BatchNorm1d(1)  # its weight begins at 1, its running mean at 0
    average = Average(model, Ema(momentum=0.75))
    for _ in range(2):
        model.load_state_dict(model.state_dict() | {"weight": torch.tensor([5.0]), "running_mean": torch.tensor([8.0])})
        average.follow()
    followed = average.model.state_dict()
    assert float(followed["weight"]) == 5 - 4 * 0.75**2
    assert float(followed["running_mean"]) == 8 - 8 * 0.75**2
    assert Average(model, None).model is model


def test_smoothing_spreads_the_rest_over_the_other_classes() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 2])
    target = torch.tensor([[0.9, 0.05, 0.05], [0.05, 0.05, 0.9]], dtype=torch.float64)
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(CrossEntropy(0.1).mean(logits, labels), expected, rtol=1e-14, atol=0)
    plain = nn.functional.cross_entropy(logits, labels)
    assert torch.equal(CrossEntropy().mean(logits, labels), plain)
