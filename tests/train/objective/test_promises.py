"""What batch norm's statistics and the FLOP count rely on is checked while a run goes on, in every engine."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from fbmon import recipe
from fbmon.recipe import Model, Penalty, Sam
from fbmon.recipe.data_sets import image_form
from fbmon.train.engine.network import Network
from fbmon.train.loop import train
from fbmon.train.mean.statistics import RunningStatistics
from fbmon.train.models import make_model
from fbmon.train.objective.loss import CrossEntropy
from fbmon.train.objective.regularize import GradientNorm, SharpnessAware
from fbmon.train.ranks.distribute import Ranks

SMALL = ("steps=1", "data.limit=32", "data.val_limit=8", "gradient.block=16", "model.width=2", "penalty.strength=0.5")


def network() -> Network:
    torch.manual_seed(0)
    model = make_model(Model(name="resnet8", width=2), image_form(1, 8, 10))
    images, labels = torch.rand(8, 1, 8, 8), torch.arange(8)
    return Network(model, lambda numbers, _step: (images[numbers], labels[numbers]), CrossEntropy())


@pytest.mark.parametrize("method", get_args(Penalty.model_fields["method"].annotation))
def test_every_penalty_takes_as_many_forward_passes_as_it_promises(method: str) -> None:
    penalty = Penalty.model_validate({"method": method, "strength": 0.5})
    taken: list[int] = []
    network().block(torch.arange(8), 1, 0.1, lambda: taken.append(1), GradientNorm(penalty))
    assert len(taken) == GradientNorm(penalty).passes


def test_sharpness_aware_minimization_takes_two() -> None:
    taken: list[int] = []
    sam = SharpnessAware(Sam(name="sam"))
    network().block(torch.arange(8), 1, 0.1, lambda: taken.append(1), sam)
    assert len(taken) == sam.passes == 2


@pytest.mark.parametrize("engine", ["eager", "lanes:2"])
@pytest.mark.parametrize("statistics", ["momentum", "mean"])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_penalty_that_takes_another_number_ends_the_run(
    engine: str, statistics: str, more: int, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def penalize(_self: object, gradient: list[Tensor], again: Callable[[], Tensor], *_: object) -> list[Tensor]:
        for _pass in range(1 + more):
            again()
        return gradient

    monkeypatch.setenv("FBMON_ENGINE", engine)
    monkeypatch.setattr(GradientNorm, "penalize", penalize)
    wanted = recipe.load(tiny, [*SMALL, f"model.running_statistics={statistics}"])
    with pytest.raises(AssertionError, match=rf"a block went {2 + more} times .* says 2"):
        train(wanted, "cpu", None, tmp_path / "checkpoints", lambda _: None, lambda: None)


@pytest.mark.parametrize("how", ["momentum", "mean"])
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_rows_that_are_not_those_promised_are_never_folded(how: str, rank: int, taken: int) -> None:
    statistics = RunningStatistics(network().model, "mean" if how == "mean" else "momentum", Ranks(rank, 2))
    statistics.start([0.25] * 4, 2)
    statistics.next_block(lambda: None)
    for _ in range(taken):
        statistics.take()
    with pytest.raises(AssertionError, match=f"2 forward passes of a block and saw {taken}"):
        statistics.next_block(lambda: None)


class LikeThis(Ranks):
    """The second of two ranks, the other one being like it."""

    def gather(self, tensor: Tensor) -> Tensor:
        return torch.stack([tensor, tensor])


def test_a_rank_without_a_block_in_the_last_round_owes_nothing() -> None:
    statistics = RunningStatistics(network().model, "momentum", LikeThis(1, 2))
    statistics.start([1.0], 2)
    statistics.next_block(lambda: None)
    statistics.finish()


def test_a_block_that_was_left_out_or_a_row_too_few_from_elsewhere_is_noticed() -> None:
    statistics = RunningStatistics(network().model, "momentum")
    statistics.start([0.5, 0.5], 2)
    statistics.next_block(lambda: None)
    with pytest.raises(AssertionError, match="1 rows of batch norm's statistics instead of 2"):
        statistics.put(torch.zeros(1, 1))
    statistics.take()
    statistics.take()
    with pytest.raises(AssertionError, match="are of 1 of 2 blocks"):
        statistics.finish()
