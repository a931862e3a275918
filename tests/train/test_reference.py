"""The trainer against a textbook of the method: block after block in plain torch, whatever the recipe asks for."""

from collections.abc import Iterator
from copy import deepcopy as copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fbmon import recipe
from fbmon.events import Event
from fbmon.recipe import DATA_SETS, AdamW, Recipe, Sam, Sgd, TorchOptimizer
from fbmon.recipe.schedule import learning_rate
from fbmon.train.data.data import DataSet
from fbmon.train.data.load import load
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.models import make_model
from fbmon.train.step import Stepper

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "forward": {"penalty.strength": 0.5},
    "central": {"penalty.strength": 0.5, "penalty.method": "central"},
    "double backward": {"penalty.strength": 0.5, "penalty.method": "autograd"},
    "penalty on the full gradient": {"penalty.strength": 0.0, "penalty.acc_strength": 0.7},
    "both penalties": {"penalty.strength": 0.5, "penalty.acc_strength": 0.7, "penalty.method": "central"},
    "both penalties by double backward": {
        "penalty.strength": 0.5, "penalty.acc_strength": 0.7, "penalty.method": "autograd",
    },
    "epsilon of the largest entry": {"penalty.strength": 0.5, "penalty.epsilon_norm": "max", "penalty.epsilon": 1e-3},
    "sharpness-aware": {"penalty.name": "sam", "penalty.rho": 0.2, "clip.block_norm": 1.0},
    "sharpness-aware along the full gradient": {"penalty.name": "sam", "penalty.rho": 0.2, "penalty.ascent": "full"},
    "blocks clipped": {"clip.block_norm": 1.0, "penalty.strength": 0.5},
    "label smoothing": {"loss.label_smoothing": 0.1},
    "average": {"ema.momentum": 0.9, "penalty.strength": 0.5},
    "AdamW": {"optimizer": {"name": "adamw", "lr": 1e-3}, "clip.norm": 0.5},
    "RMSprop": {"optimizer": {"name": "torch.optim:RMSprop", "lr": 1e-3, "args": {"alpha": 0.9}}},
    "decay of weights only": {"optimizer.decay_on": "weights", "optimizer.weight_decay": 0.1},
    "legacy mean": {"gradient.accumulation": "legacy", "penalty.strength": 0.5},
    "fast sums": {"gradient.accumulation": "fp32"},
    "mean statistics": {"model.running_statistics": "mean", "penalty.strength": 0.5},
}  # fmt: skip


@pytest.fixture
def wanted(tiny: Path, request: pytest.FixtureRequest) -> Recipe:
    """Three steps in float64 over three blocks, the last one short, with the case's settings."""
    settings = {
        "steps": 3, "precision": "float64", "data.limit": 40, "data.val_limit": 30, "gradient.block": 16,
        "schedule.warmup": 0, "clip.norm": 0.25, "optimizer.nesterov": True, "optimizer.weight_decay": 5e-4,
    }  # fmt: skip
    table = recipe.load(tiny, [f"{key}={str(value).lower()}" for key, value in settings.items()])
    changed = table.model_dump(exclude_none=True)
    for key, value in CASES[request.param].items():
        section, _, name = key.rpartition(".")
        (changed.setdefault(section, {}) if section else changed)[name] = value
    return Recipe.model_validate(changed)


@pytest.mark.parametrize("wanted", CASES, indirect=True)
def test_three_steps_lead_where_the_textbook_leads(wanted: Recipe) -> None:
    data = load(wanted.data, None, torch.device("cpu"), lambda _: None)
    ours, theirs = model_of(wanted, data), model_of(wanted, data)
    told: list[Event] = []
    stepper = Stepper(wanted, data, ours, told.append, lambda: None)
    for step in range(1, 4):
        stepper.take_step(stepper.plan_step(step))
    *_, average = textbook(wanted, data, theirs)
    for found, expected in ((ours, theirs), (stepper.average.model, average)):
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name)


def model_of(wanted: Recipe, data: DataSet) -> nn.Module:
    torch.manual_seed(0)
    model = make_model(wanted.model, data.form)
    set_precision_(model, wanted.precision)
    return model


def textbook(wanted: Recipe, data: DataSet, model: nn.Module) -> Iterator[nn.Module]:
    """After each step the averaged model; `model` itself moves along."""
    parameters = list(model.parameters())
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    average = model_of(wanted, data)
    optimizer = optimizer_of(wanted, parameters)
    inputs, labels = data.prepare(data.train.inputs[:], torch.float64), data.train.targets
    numbers = torch.split(torch.arange(len(labels)), wanted.gradient.block)

    def loss_of(some: Tensor) -> Tensor:
        classes = DATA_SETS[wanted.data.dataset].form.output[0]
        target = torch.full((len(some), classes), wanted.loss.label_smoothing / (classes - 1)).double()
        target.scatter_(1, labels[some][:, None], 1 - wanted.loss.label_smoothing)
        return cross_entropy(model(inputs[some]), target)

    def gradient(some: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss_of(some), parameters))

    def shifted(some: Tensor, direction: list[Tensor], by: Tensor) -> list[Tensor]:
        before = [parameter.detach().clone() for parameter in parameters]
        for parameter, part in zip(parameters, direction, strict=True):
            parameter.data += by * part
        found = gradient(some)
        for parameter, old in zip(parameters, before, strict=True):
            parameter.data.copy_(old)
        return found

    def penalized(some: Tensor, rate: float, full: list[Tensor]) -> list[Tensor]:
        penalty = wanted.penalty
        graph = torch.autograd.grad(loss_of(some), parameters, create_graph=True)
        plain = [part.detach() for part in graph]
        statistics.append([(copy(norm.running_mean), copy(norm.running_var), len(some)) for norm in norms])
        if penalty is None:
            return plain
        pairs = zip(plain, full, strict=True)
        if isinstance(penalty, Sam):
            uphill = full if penalty.ascent == "full" else plain
            return shifted(some, uphill, penalty.rho / torch.cat([part.flatten() for part in uphill]).norm())
        direction = [penalty.strength * part + penalty.acc_strength * other for part, other in pairs]
        flat = torch.cat([part.flatten() for part in direction])
        reach = penalty.epsilon / (flat.norm() if penalty.epsilon_norm == "l2" else flat.abs().max())
        if penalty.method == "autograd":
            product = list(torch.autograd.grad(graph, parameters, grad_outputs=direction))
        elif penalty.method == "forward":
            ahead = shifted(some, direction, reach)
            product = [(one - other) / reach for one, other in zip(ahead, plain, strict=True)]
        else:
            ahead, behind = shifted(some, direction, reach / 2), shifted(some, direction, -reach / 2)
            product = [(one - other) / reach for one, other in zip(ahead, behind, strict=True)]
        return [part + rate / 4 * other for part, other in zip(plain, product, strict=True)]

    for step in range(wanted.steps):
        rate = learning_rate(step, wanted.schedule, wanted.optimizer)
        model.train()
        for norm in norms:
            norm.momentum = 0.1
        full = [torch.zeros_like(parameter) for parameter in parameters]
        if needs_full(wanted):
            for some in numbers:
                for total, part in zip(full, gradient(some), strict=True):
                    total.add_(part, alpha=len(some) / len(labels))
        statistics: list[Any] = []
        if wanted.model.running_statistics == "mean":
            for norm in norms:
                norm.momentum = 1.0
        mean = [torch.zeros_like(parameter) for parameter in parameters]
        for some in numbers:
            found = penalized(some, rate, full)
            if wanted.clip and wanted.clip.block_norm:
                clip(found, wanted.clip.block_norm)
            for total, part in zip(mean, found, strict=True):
                if wanted.gradient.accumulation == "legacy":
                    total.lerp_(part, 1 / len(numbers))
                else:
                    total.add_(part, alpha=len(some) / len(labels))
        if wanted.model.running_statistics == "mean":
            put_means_(norms, statistics, len(labels))
        if wanted.clip and wanted.clip.norm:
            clip(mean, wanted.clip.norm)
        for parameter, part in zip(parameters, mean, strict=True):
            parameter.grad = part
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        momentum = wanted.ema.momentum if wanted.ema else 0.0
        for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            old.copy_(momentum * old + (1 - momentum) * new if old.is_floating_point() else new)
        yield average


def needs_full(wanted: Recipe) -> bool:
    penalty = wanted.penalty
    return penalty.ascent == "full" if isinstance(penalty, Sam) else penalty is not None and penalty.acc_strength > 0


def put_means_(norms: list[nn.BatchNorm2d], statistics: list[Any], images: int) -> None:
    """The mean of each block's own statistics, by its images."""
    for number, norm in enumerate(norms):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(sum(block[number][0] * block[number][2] / images for block in statistics))
        norm.running_var.copy_(sum(block[number][1] * block[number][2] / images for block in statistics))


def clip(gradient: list[Tensor], norm: float) -> None:
    holders = [nn.Parameter(torch.zeros_like(part)) for part in gradient]
    for holder, part in zip(holders, gradient, strict=True):
        holder.grad = part
    torch.nn.utils.clip_grad_norm_(holders, norm)


def optimizer_of(wanted: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    asked = wanted.optimizer
    if isinstance(asked, AdamW):
        return torch.optim.AdamW(parameters, lr=asked.lr)
    if isinstance(asked, TorchOptimizer):
        return torch.optim.RMSprop(parameters, lr=asked.lr, alpha=0.9, weight_decay=asked.weight_decay)
    assert isinstance(asked, Sgd)
    groups = [
        {"params": [one], "weight_decay": asked.weight_decay if one.dim() > 1 or asked.decay_on == "all" else 0.0}
        for one in parameters
    ]
    return torch.optim.SGD(groups, lr=asked.lr, momentum=asked.momentum, nesterov=asked.nesterov)
