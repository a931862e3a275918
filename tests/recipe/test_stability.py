"""The stability limit is where steps of torch's own optimizer on a quadratic turn from shrinking to growing."""

from typing import Any

import pytest
import torch

from fbmon.recipe import AdamW, Sgd
from fbmon.recipe.stability import stability_limit
from fbmon.train.optimize import make_optimizer


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.3},
        {"weight_decay": 0.3},
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_a_quadratic_just_below_the_limit_is_descended_and_one_just_above_it_is_not(
    settings: dict[str, Any], scale: float
) -> None:
    wanted = Sgd(name="sgd", lr=0.1, **settings)
    limit = stability_limit(wanted, 0.1, scale)
    assert limit is not None
    assert reached_after(2000, limit * 0.995, wanted, scale) < 1e-3
    assert reached_after(2000, limit * 1.005, wanted, scale) > 1e3


def reached_after(steps: int, curvature: float, wanted: Sgd, scale: float) -> float:
    """How far from the minimum of ½ curvature θ² the optimizer is, begun at 1, its gradient scaled before the decay."""
    weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = make_optimizer(torch.nn.ParameterList([weight]), wanted)
    for _ in range(steps):
        weight.grad = scale * curvature * weight.detach()
        optimizer.step()
    return abs(weight.item())


def test_gradient_descent_has_two_over_the_rate_and_a_rate_of_zero_or_adamw_no_limit() -> None:
    assert stability_limit(Sgd(name="sgd", lr=1.0), 0.4) == 5.0
    assert stability_limit(Sgd(name="sgd", lr=1.0), 0.0) is None
    assert stability_limit(AdamW(name="adamw", lr=1e-3), 1e-3) is None
