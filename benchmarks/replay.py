"""Replays a golden trajectory: `python -m benchmarks.replay GOLDEN.json [--data DIR]`.

Builds the run that the file describes, in float64 on the CPU, and prints the largest deviation |a - b| / max(|b|, 1e-6)
of every series from what the authors' code computed. Exit code 1 if the worst is above 1e-6.
DIR holds cifar-10-batches-py; files whose data are synthetic need none.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fbmon.events import Event, StepTaken, Validated
from fbmon.recipe import Data, Recipe
from fbmon.train.average import Average
from fbmon.train.data import CIFAR10_MEAN, CIFAR10_STD, DataSet, Images, blocks, load
from fbmon.train.loop import Loop
from fbmon.train.mean import make_mean
from fbmon.train.models import make_model
from fbmon.train.optimize import make_optimizer

Golden = dict[str, Any]
LIMIT = 1e-6
CPU = torch.device("cpu")
METHODS = {"forward-differences": "forward", "central-differences": "central", "autograd": "autograd"}


def recipe_of(golden: Golden) -> Recipe:
    """The settings of a golden file as a recipe."""
    overrides = dict(item.split("=", 1) for item in golden.get("overrides", []))
    penalty, optimizer = golden["grad_reg"], golden["optim"]
    horizon = 4000 if golden["scheduler"] == "cosine-4000" else golden["steps"]
    stochastic = golden.get("hyp") == "base_sgd" or overrides.get("hyp.train_stochastic") == "True"
    table: dict[str, Any] = {
        "name": "golden",
        "steps": golden["steps"],
        "data": {"dataset": "cifar10"},
        "model": {"name": golden["model"].replace("-", "").lower()},
        "gradient": {"block": golden["chunk"], "drop_last": True, "update": "block" if stochastic else "full"},
        "loss": {"label_smoothing": golden.get("label_smoothing") or 0.0},
        "optimizer": {key: optimizer[key] for key in ("lr", "momentum", "weight_decay", "nesterov")},
        "schedule": {"name": "cosine", "warmup": golden["warmup"], "horizon": horizon},
        "validation": {"every": 1},
    }
    if golden["scheduler"] == "none":
        table["schedule"] = {"name": "constant", "warmup": golden["warmup"]}
    if golden["grad_clip"] is not None:
        table["clip"] = {"norm": golden["grad_clip"]}
    if penalty["block_strength"]:
        method = METHODS[penalty["implementation"]]
        table["penalty"] = {"method": method, "strength": penalty["block_strength"], "epsilon": penalty["eps"]}
    if golden.get("ema"):
        table["ema"] = {"momentum": golden["ema"]}
    return Recipe.model_validate(table)


def data_of(golden: Golden, folder: Path | None) -> DataSet:
    """The images of a golden file: the first ones of CIFAR-10, or the formula's."""
    train, val = golden["n_train"], golden["n_val"]
    if golden.get("data") != "synthetic":
        return load(Data(dataset="cifar10", limit=train, val_limit=val), folder, CPU, lambda _: None)
    pictures = np.random.RandomState(12345).randint(0, 256, (train + val, 32, 32, 3)).astype(np.uint8)
    labels = torch.from_numpy(np.random.RandomState(54321).randint(0, 10, train + val))
    shown = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    first, rest = Images(shown[:train], labels[:train]), Images(shown[train:], labels[train:])
    return DataSet(first, rest, classes=10, scale=255.0, mean=CIFAR10_MEAN, std=CIFAR10_STD)


def fill_(model: nn.Module) -> None:
    """The first weights of every golden file: Gaussians seeded by the parameter's number, rounded to float32."""
    for number, (name, parameter) in enumerate(model.named_parameters()):
        shape = tuple(parameter.shape)
        if len(shape) == 1:
            values = np.full(shape, 0.0 if name.endswith("bias") else 1.0)
        else:
            scale = 0.04 if len(shape) == 2 else np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
            values = np.random.RandomState(number).standard_normal(shape) * scale
        parameter.data.copy_(torch.from_numpy(values.astype(np.float32)))


def replay(golden: Golden, folder: Path | None) -> dict[str, float]:
    """The largest deviation of each series."""
    wanted, data = recipe_of(golden), data_of(golden, folder)
    model = make_model(wanted.model, channels=3, classes=data.classes)
    fill_(model)
    model.double()
    parameters = list(model.parameters())
    mean = make_mean("exact", parameters, len(blocks(len(data.train), wanted.gradient, 0, 1, CPU)))
    told: list[Event] = []
    average = Average(model, wanted.ema)
    loop = Loop(wanted, data, model, make_optimizer(model, wanted.optimizer), mean, average, told.append, lambda: None)
    for step in range(1, wanted.steps + 1):
        loop.take_step(step)
        loop.validate(step)
    found = series_of(told, wanted)
    deviations = {name: largest(found[name], values) for name, values in golden["stats"].items()}
    deviations["param_l2"] = largest([part.norm().item() for part in parameters], golden["param_l2"].values())
    probes = [value for part in parameters for value in part.detach().reshape(-1)[:3].tolist()]
    deviations["probe"] = largest(probes, [value for probe in golden["probe"].values() for value in probe])
    buffers = [buffer.double().norm().item() for buffer in model.buffers()]
    deviations["buffer_l2"] = largest(buffers, golden["buffer_l2"].values())
    return deviations


def series_of(told: Iterable[Event], wanted: Recipe) -> dict[str, list[float]]:
    """What the run told, under the authors' names."""
    steps = [event.values for event in told if isinstance(event, StepTaken)]
    validations = [event.values for event in told if isinstance(event, Validated)]

    def values(name: str, where: Sequence[dict[str, float | None]] = steps) -> list[float]:
        return [value for told in where if (value := told[name]) is not None]

    threshold = wanted.clip.norm if wanted.clip else float("inf")
    return {
        "train_loss": values("loss"),
        "train_acc": values("accuracy"),
        "full_loss": values("full_loss"),
        "param_norm": [value**2 for value in values("param_norm")],
        "grad_norm": values("block_grad_norm"),
        "preclip_gradnorm": values("grad_norm"),
        "clipped_step": [float(value > threshold) for value in values("grad_norm")],
        "valid_loss": values("val_loss", validations),
        "valid_acc": values("val_accuracy", validations),
    }


def largest(ours: Sequence[float], theirs: Iterable[float]) -> float:
    """The largest |a - b| / max(|b|, 1e-6); unequal lengths are an infinite deviation."""
    reference = list(theirs)
    if len(ours) != len(reference):
        return float("inf")
    return max(abs(a - b) / max(abs(b), 1e-6) for a, b in zip(ours, reference, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("golden", type=Path)
    parser.add_argument("--data", type=Path, default=None, help="the folder that holds cifar-10-batches-py")
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    deviations = replay(json.loads(arguments.golden.read_text()), arguments.data)
    for name, deviation in deviations.items():
        print(f"{name:18} {deviation:.1e}")
    worst = max(deviations.values())
    print(f"worst: {worst:.1e}")
    sys.exit(int(not worst <= LIMIT))


if __name__ == "__main__":
    main()
