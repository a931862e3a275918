"""The trainer against a trajectory that the authors' code computed in float64: three penalized, clipped steps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fbmon.events import StepTaken, Validated
from fbmon.recipe import Recipe
from fbmon.train.average import Average
from fbmon.train.data import _CIFAR10_MEAN, _CIFAR10_STD, DataSet, Images
from fbmon.train.loop import Loop
from fbmon.train.mean import make_mean
from fbmon.train.models import make_model
from fbmon.train.optimize import make_optimizer

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "mini.json").read_text())


def synthetic_images() -> DataSet:
    pictures = torch.from_numpy(np.random.RandomState(12345).randint(0, 256, (48, 32, 32, 3)).astype(np.uint8))
    labels = torch.from_numpy(np.random.RandomState(54321).randint(0, 10, 48))
    pictures = pictures.permute(0, 3, 1, 2).contiguous()
    train, val = Images(pictures[:32], labels[:32]), Images(pictures[32:], labels[32:])
    return DataSet(train, val, classes=10, scale=255.0, mean=_CIFAR10_MEAN, std=_CIFAR10_STD)


def fill_(model: nn.Module) -> None:
    """The initial weights of every golden file: Gaussians seeded by the parameter's number, rounded to float32."""
    for number, (name, parameter) in enumerate(model.named_parameters()):
        shape = tuple(parameter.shape)
        if len(shape) == 1:
            values = np.full(shape, 0.0 if name.endswith("bias") else 1.0)
        else:
            scale = 0.04 if len(shape) == 2 else np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
            values = np.random.RandomState(number).standard_normal(shape) * scale
        parameter.data.copy_(torch.from_numpy(values.astype(np.float32)))


def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "name": "mini",
            "steps": GOLDEN["steps"],
            "data": {"dataset": "cifar10"},
            "model": {"name": "resnet18"},
            "gradient": {"block": GOLDEN["chunk"], "drop_last": True},
            "optimizer": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
            "schedule": {"name": "cosine", "warmup": GOLDEN["warmup"], "horizon": 4000},
            "clip": {"norm": GOLDEN["grad_clip"]},
            "penalty": {"strength": 0.5, "epsilon": 0.01},
            "validation": {"every": 1},
        }
    )


def test_three_steps_agree_with_the_authors_code_to_eleven_digits() -> None:
    wanted, data = recipe(), synthetic_images()
    model = make_model(wanted.model, channels=3, classes=10)
    fill_(model)
    model.double()
    told: list[object] = []
    mean = make_mean(wanted.gradient.accumulation, list(model.parameters()), blocks=2)
    loop = Loop(
        wanted,
        data,
        model,
        make_optimizer(model, wanted.optimizer),
        mean,
        Average(model, None),
        told.append,
        lambda: None,
    )
    for step in (1, 2, 3):
        loop.take_step(step)
        loop.validate(step)

    steps = [event.values for event in told if isinstance(event, StepTaken)]
    validations = [event.values for event in told if isinstance(event, Validated)]
    stats = GOLDEN["stats"]
    names = {
        "loss": "train_loss", "accuracy": "train_acc", "full_loss": "full_loss",
        "grad_norm": "preclip_gradnorm", "block_grad_norm": "grad_norm",
    }  # fmt: skip
    for ours, theirs in names.items():
        assert [values[ours] for values in steps] == pytest.approx(stats[theirs], rel=1e-10), ours
    assert [values["param_norm"] ** 2 for values in steps if values["param_norm"]] == pytest.approx(
        stats["param_norm"], rel=1e-10
    )
    assert [values["val_loss"] for values in validations] == pytest.approx(stats["valid_loss"], rel=1e-10)
    assert [values["val_accuracy"] for values in validations] == stats["valid_acc"]
    lengths = [parameter.norm().item() for parameter in model.parameters()]
    assert lengths == pytest.approx(list(GOLDEN["param_l2"].values()), rel=1e-9, abs=1e-12)
    statistics = [buffer.double().norm().item() for buffer in model.buffers()]
    assert statistics == pytest.approx(list(GOLDEN["buffer_l2"].values()), rel=1e-9)
