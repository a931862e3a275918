"""The trainer's account of its plan and of a step, in the words of the events and the metrics."""

import math
import socket
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fbmon.events import TrainingStarted
from fbmon.recipe import Recipe
from fbmon.recipe.data_sets import Form
from fbmon.train.data.data import DataSet
from fbmon.train.flop import count_step
from fbmon.train.hardware.attainable import attainable_flops
from fbmon.train.hardware.precision import emulation
from fbmon.train.hardware.stopwatch import Part
from fbmon.train.hardware.this_machine import this_machine
from fbmon.train.line_search import Search
from fbmon.train.measure import Measures, added_loss, decay_loss
from fbmon.train.objective.regularize import Regularizer
from fbmon.train.passes import passes_until
from fbmon.train.ranks.distribute import Ranks
from fbmon.train.step_plan import Step

_HOST_BYTES = 64  # the longest name of a host on Linux


def plan(
    recipe: Recipe,
    data: DataSet,
    model: nn.Module,
    blocks: Sequence[Tensor],
    ranks: Ranks,
    engine: str,
    random_parts: Sequence[str] = (),
) -> TrainingStarted:
    """Return the plan of the training, in blocks of images of these numbers."""
    images, device, form = sum(map(len, blocks)), data.device, data.form
    return TrainingStarted(
        steps=recipe.steps,
        blocks=len(blocks),
        images=images,
        val_images=len(data.val),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        device=", ".join(filter(None, [_devices(device, ranks), engine])),
        precision=recipe.precision,
        validation_every=recipe.validation.every,
        clip_norm=recipe.clip.norm if recipe.clip else None,
        target_val_accuracy=recipe.target.val_accuracy if recipe.target else None,
        hosts=_hosts(ranks),
        flop_per_step=count_step(model, form, recipe, len(blocks)) * images,
        # Only the first rank reports it; the others wait for that rank with their next exchange.
        attainable_flops=attainable_flops(device, recipe.precision) * ranks.size if ranks.is_first else None,
        ranks=ranks.size,
        machine=this_machine(device),
        emulation=emulation(recipe.precision, device),
        random_parts=list(random_parts),
        code=", ".join(str(section.reference) for section in recipe.code.values()),
    )


def rank_seconds(parts: Mapping[Part, float], ranks: Ranks) -> list[float]:
    """Return the seconds of each of several ranks in a step, without the mean, in which a rank may have waited."""
    if ranks.size == 1:
        return []
    own = sum(seconds for part, seconds in parts.items() if part != "mean")
    gathered: list[float] = ranks.gather(torch.tensor(own, dtype=torch.float64)).tolist()
    return [round(seconds, 6) for seconds in gathered]


def step_values(
    step: Step,
    measures: Measures,
    recipe: Recipe,
    form: Form,
    regularizer: Regularizer | None,
    search: Search | None,
    seconds: float,
    parts: Mapping[Part, float],
    least: float | None,
    of_ranks: Sequence[float] = (),
) -> dict[str, float | None]:
    """Return the metrics of a step that took `seconds`, in these `parts`, and on several ranks `of_ranks` seconds each.

    A pass over its images would have taken `least` seconds if its FLOP, and its penalty's, were all there is to do.
    """
    looks = search.looks if search else 1
    decay, penalty = decay_loss(measures, recipe), added_loss(measures, regularizer, step.learning_rate)
    full = measures.loss + decay + penalty  # paper's code, statistics
    values: dict[str, float | None] = {
        "loss": measures.loss,
        "full_loss": full,
        **({"accuracy": measures.accuracy} if form.classes else {}),
        "grad_norm": measures.grad_norm,
        "block_grad_norm": math.sqrt(measures.block_square),
        "param_norm": measures.param_norm,
        "learning_rate": search.rate if search else step.learning_rate,
        "step_seconds": seconds,
        "images_per_second": looks * measures.images / seconds,
        "flop_share": looks * least / seconds if least else None,
        **{f"{part}_seconds": spent for part, spent in parts.items()},
    }
    if search:
        values["passes"] = search.passes
    if recipe.penalty:
        values["passes"] = passes_until(step.number, recipe.gradient, len(step.blocks), regularizer)
        values["penalty_share"] = penalty / full if full else None
    if recipe.optimizer.weight_decay:
        values["decay_share"] = decay / full if full else None
    if recipe.clip and recipe.clip.block_norm:
        values["clipped_blocks"] = measures.clipped_blocks
    if of_ranks:
        values |= {"slowest_rank_seconds": max(of_ranks), "fastest_rank_seconds": min(of_ranks)}
    return values


def _devices(device: torch.device, ranks: Ranks) -> str:
    """Name the devices of all ranks, taken to be like rank 0's."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"{device} ({name})" if ranks.size == 1 else f"{ranks.size} ranks, each on a {name}"
    threads = torch.get_num_threads()
    name = f"{threads} CPU thread{'s'[: threads > 1]}"
    return name if ranks.size == 1 else f"{ranks.size} ranks, each on {name}"


def _hosts(ranks: Ranks) -> list[str]:
    """Return the host name of each rank; empty if all are on one machine."""
    name = socket.gethostname().encode()[:_HOST_BYTES].ljust(_HOST_BYTES)
    gathered = ranks.gather(torch.frombuffer(bytearray(name), dtype=torch.uint8))
    hosts = [host.numpy().tobytes().decode(errors="replace").rstrip() for host in gathered]
    return hosts if len(set(hosts)) > 1 else []
