"""The full-batch gradient: the mean over all blocks, each with its own batch-norm statistics and penalty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fbmon.recipe import Penalty
from fbmon.train.mean import Mean
from fbmon.train.regularize import gradient_of, penalize

Batch = tuple[Tensor, Tensor]  # network input (B, C, H, W), labels int64 (B,)
Objective = Callable[[Tensor, Tensor], Tensor]  # of logits (B, classes) and labels: the block's mean loss


@dataclass(frozen=True)
class FullGradient:
    """The mean over all images at the present weights; all numbers are float64 scalars on the device."""

    gradient: list[Tensor]  # like the parameters, in their dtype
    is_good: Tensor  # 1; or 0 if the mean has to adapt and the pass to be repeated
    loss: Tensor  # mean of the objective
    accuracy: Tensor
    block_square: Tensor  # mean over blocks of the squared norm of the unpenalized block gradient
    images: int


def full_gradient(
    model: nn.Module,
    batches: Sequence[Tensor],
    batch: Callable[[Tensor], Batch],
    objective: Objective,
    penalty: Penalty | None,
    learning_rate: float,
    mean: Mean,
    on_block: Callable[[int], None],
) -> FullGradient:
    """One pass over all blocks (paper, section 2, steps 1 to 3); the parameters are as before when it returns.

    `batches` holds the image numbers of each block, `batch` makes them network input. A block counts by its images, so
    a short last block weighs what it should. `on_block(k)` is called before block k and may raise.
    """
    parameters = list(model.parameters())
    images = sum(len(numbers) for numbers in batches)
    measures = torch.zeros(3, dtype=torch.float64, device=parameters[0].device)
    mean.start()
    in_flight = _InFlight(parameters[0].device)
    model.train()
    for k, numbers in enumerate(batches):
        on_block(k)
        in_flight.wait()
        share = len(numbers) / images
        gradient, told = _block(model, parameters, batch(numbers), objective, penalty, learning_rate)
        mean.add(gradient, share)
        measures += share * told
        in_flight.add()
    loss, accuracy, block_square = measures.unbind()
    return FullGradient(mean.result(), mean.is_good(), loss, accuracy, block_square, images)


def _block(
    model: nn.Module,
    parameters: list[nn.Parameter],
    batch: Batch,
    objective: Objective,
    penalty: Penalty | None,
    learning_rate: float,
) -> tuple[list[Tensor], Tensor]:
    """A block's penalized gradient, and its (loss, accuracy, squared norm of the plain gradient) as float64 (3,)."""
    inputs, labels = batch
    logits = model(inputs)
    loss = objective(logits, labels)
    if penalty:
        plain, penalized = penalize(loss, lambda: objective(model(inputs), labels), parameters, learning_rate, penalty)
    else:
        plain = penalized = gradient_of(loss, parameters)
    with torch.no_grad():
        accuracy = (logits.argmax(1) == labels).double().mean()
        square = torch.stack(torch._foreach_norm(plain)).double().square().sum()
        return penalized, torch.stack([loss.double(), accuracy, square])


class _InFlight:
    """Lets the host run at most two blocks ahead of a GPU, so that progress and stopping are per block."""

    def __init__(self, device: torch.device) -> None:
        self._events: list[torch.cuda.Event] | None = [] if device.type == "cuda" else None

    def wait(self) -> None:
        if self._events is not None and len(self._events) >= 2:
            self._events.pop(0).synchronize()

    def add(self) -> None:
        if self._events is not None:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            self._events.append(event)
