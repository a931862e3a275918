"""Replays a golden trajectory: `python -m tools.replay GOLDEN.json [--data DIR]`.

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

from fbmon.errors import FbmonError
from fbmon.events import Event, StepTaken, Validated
from fbmon.recipe import DATA_SETS, Data, Recipe
from fbmon.train.data.data import DataSet, Samples
from fbmon.train.data.load import load
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.hardware.process import set_up
from fbmon.train.models import make_model
from fbmon.train.step import Stepper

Golden = dict[str, Any]
LIMIT = 1e-6
CPU = torch.device("cpu")
METHODS = {"forward-differences": "forward", "central-differences": "central", "autograd": "autograd"}
# Overrides whose values stand in fields of the file, and others by the value at which they do nothing.
IN_A_FIELD = {
    "hyp", "hyp.warmup", "hyp.steps", "hyp.scheduler", "hyp.grad_clip", "hyp.label_smoothing", "hyp.sub_batch",
    "hyp.evaluate_ema", "hyp.eval_ema_momentum", "hyp.train_stochastic", "impl.validate_every_nth_step",
}  # fmt: skip
OFF = {"hyp.shuffle": "false", "hyp.grad_clip_norm": "2", "hyp.only_linear_layers_weight_decay": "false"}


def recipe_of(golden: Golden) -> Recipe:
    """The settings of a golden file as a recipe. Raises ValueError for one that fbmon has not."""
    penalty, overrides = golden["grad_reg"], dict(item.split("=", 1) for item in golden.get("overrides", []))
    refuse_unknown(overrides)
    stochastic = overrides.get("hyp.train_stochastic", str(golden.get("hyp") == "base_sgd")) == "True"
    clip = {"norm": golden["grad_clip"], "block_norm": number(overrides.get("hyp.batch_clip"))}
    table: dict[str, Any] = {
        "name": "golden",
        "steps": golden["steps"],
        "precision": "float64",
        "data": {"dataset": "cifar10"},
        "model": {"name": golden["model"].replace("-", "").lower()},
        "gradient": {"block": golden["chunk"], "drop_last": True, "update": "block" if stochastic else "full"},
        "loss": {"label_smoothing": golden.get("label_smoothing") or 0.0},
        "optimizer": optimizer_of(golden["optim"]),
        "schedule": schedule_of(golden),
        "clip": clip if any(clip.values()) else None,
        "ema": {"momentum": golden["ema"]} if golden.get("ema") else None,
        "validation": {"every": 1},
    }
    if penalty["block_strength"] or penalty["acc_strength"]:
        table["penalty"] = {
            "method": METHODS[penalty["implementation"]],
            "strength": penalty["block_strength"],
            "acc_strength": penalty["acc_strength"],
            "epsilon": penalty["eps"],
        }
    return Recipe.model_validate(table)


def refuse_unknown(overrides: dict[str, str]) -> None:
    """Raise ValueError for an override that stands in no field and that fbmon has not, so would be left out."""
    for name, value in overrides.items():
        in_a_field = name.startswith(("hyp.optim.", "hyp.grad_reg.", "data.", "model")) or name in IN_A_FIELD
        if not (in_a_field or name == "hyp.batch_clip" or OFF.get(name) == value.lower()):
            raise ValueError(f"override {name}={value}: fbmon has no such setting")


def number(text: str | None) -> float | None:
    return None if text in (None, "null", "") else float(text)


def optimizer_of(optim: dict[str, Any]) -> dict[str, Any]:
    if optim["name"] == "Adam":  # the authors' name for AdamW
        beta1, beta2 = optim["betas"]
        names = {"lr": optim["lr"], "epsilon": optim["eps"], "weight_decay": optim["weight_decay"]}
        return {"name": "adamw", "beta1": beta1, "beta2": beta2, **names}
    if optim["name"] != "Gradient Descent" or optim.get("line_search", "none") != "none" or optim.get("dampening"):
        raise ValueError(f"optim {optim}: fbmon has SGD without dampening and line search, and AdamW")
    return {"name": "sgd", **{key: optim[key] for key in ("lr", "momentum", "weight_decay", "nesterov")}}


def schedule_of(golden: Golden) -> dict[str, Any]:
    name, steps, warmup = golden["scheduler"], golden["steps"], {"warmup": golden["warmup"]}
    match name:
        case "cosine-4000":
            return {"name": "cosine", "horizon": 4000} | warmup
        case "cosine-decay":
            return {"name": "cosine", "horizon": steps} | warmup
        case "cosine-decay-floored":
            return {"name": "cosine", "horizon": steps, "floor": 1 / 25} | warmup
        case "linear":  # the authors' name for steps down at 3/8, 5/8 and 7/8
            return {"name": "multistep", "drops": [int(steps // share) for share in (2.667, 1.6, 1.142)]} | warmup
        case "exponential":
            return {"name": "exponential"} | warmup
        case None | "" | " " | "none":
            return {"name": "constant"} | warmup
        case _:
            raise ValueError(f"scheduler {name}: fbmon has no such schedule")


def data_of(golden: Golden, folder: Path | None) -> DataSet:
    """The images of a golden file: the first ones of CIFAR-10, or the formula's."""
    train, val = golden["n_train"], golden["n_val"]
    if golden.get("data") != "synthetic":
        return load(Data(dataset="cifar10", limit=train, val_limit=val), folder, CPU, lambda _: None)
    pictures = np.random.RandomState(12345).randint(0, 256, (train + val, 32, 32, 3)).astype(np.uint8)
    labels = torch.from_numpy(np.random.RandomState(54321).randint(0, 10, train + val))
    shown = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    first, rest = Samples(shown[:train], labels[:train]), Samples(shown[train:], labels[train:])
    return DataSet(first, rest, DATA_SETS["cifar10"])


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


def replay(golden: Golden, folder: Path | None, steps: int | None = None) -> dict[str, float]:
    """The largest deviation of each series, and of the final state; of `steps` only the series up to there."""
    wanted, data = recipe_of(golden), data_of(golden, folder)
    model = make_model(wanted.model, data.form)
    fill_(model)
    set_precision_(model, wanted.precision)
    told: list[Event] = []
    stepper = Stepper(wanted, data, model, told.append, lambda: None)
    block_norms = []
    for step in range(1, (steps or wanted.steps) + 1):
        block_norms.append(stepper.take_step(stepper.plan_step(step)).block_norms)
        stepper.validate(step)
    found = series_of(told, wanted)
    deviations = {name: largest(found[name], values[:steps]) for name, values in golden["stats"].items()}
    norms = [value for block in golden["chunk_grad_norms"].values() for value in block[:steps]]
    deviations["chunk_grad_norms"] = largest(
        [value for block in zip(*block_norms, strict=True) for value in block], norms
    )
    if steps:
        return deviations
    parameters = list(model.parameters())
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

    threshold = wanted.clip.norm if wanted.clip and wanted.clip.norm else float("inf")
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
    set_up()
    try:
        deviations = replay(json.loads(arguments.golden.read_text()), arguments.data)
    except (OSError, ValueError, FbmonError) as error:
        print(f"{arguments.golden}: {error}", file=sys.stderr)
        sys.exit(2)
    for name, deviation in deviations.items():
        print(f"{name:18} {deviation:.1e}")
    worst = max(deviations.values())
    print(f"worst: {worst:.1e}")
    sys.exit(int(not worst <= LIMIT))


if __name__ == "__main__":
    main()
