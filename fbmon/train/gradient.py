"""The full-batch gradient: the mean over all blocks, each with its own batch-norm statistics and penalty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fbmon.recipe import Penalty
from fbmon.train.blocks import Batch
from fbmon.train.clip import clip_
from fbmon.train.distribute import ALONE, Ranks
from fbmon.train.mean import Mean
from fbmon.train.regularize import Gradient, gradient_of, penalize
from fbmon.train.statistics import RunningStatistics
from fbmon.train.stopwatch import Stopwatch

Forward = Callable[[Tensor], Tensor]  # network input (B, C, H, W) to logits (B, classes)
Objective = Callable[[Tensor, Tensor], Tensor]  # of logits (B, classes) and labels: the block's mean loss


@dataclass(frozen=True)
class FullGradient:
    """The mean over all images at the present weights."""

    gradient: Gradient  # like the parameters, in their dtype
    is_good: Tensor  # 1; or 0 if the mean has to adapt and the pass to be repeated
    rows: Tensor  # float64 (blocks, 4) on the device: what `block_gradient` tells of each


def full_gradient(
    one_block: Callable[[int], tuple[Gradient, Tensor]],
    weights: Sequence[float],
    mean: Mean,
    statistics: RunningStatistics,
    on_block: Callable[[int], None],
    watch: Stopwatch,
    ranks: Ranks = ALONE,
) -> FullGradient:
    """One pass over all blocks (paper, section 2, steps 1 to 3); every rank gets the same result, to the last bit.

    `one_block(k)` is block k's gradient, which counts with `weights[k]`, and its row. `statistics` has been started.
    `on_block(k)` is called before each round of one block a rank, with the first of them, and may raise, on all ranks.
    """
    mean.start()
    rows = torch.zeros(len(weights), 4, dtype=torch.float64, device=mean.device)
    in_flight = _InFlight(mean.device)
    for first, k in ranks.rounds(len(weights)):
        on_block(first)
        in_flight.wait()
        statistics.next_block()
        if k is None:  # the last round, and more ranks than blocks left
            continue
        gradient, rows[k] = one_block(k)
        with watch.timing("mean"):
            mean.add(gradient, weights[k])
        in_flight.add()
    with watch.timing("mean"):
        statistics.finish()
        ranks.sum_(rows)  # each block's row is zero on all ranks but one
        return FullGradient(mean.finish(), mean.is_good(), rows)


def block_gradient(
    forward: Forward,
    parameters: Sequence[Tensor],
    batch: Batch,
    objective: Objective,
    learning_rate: float,
    watch: Stopwatch,
    penalty: Penalty | None = None,
    full: Gradient | None = None,
    clip_norm: float | None = None,
) -> tuple[Gradient, Tensor]:
    """A block's gradient, penalized and then clipped to `clip_norm`, and what is told of it.

    That is float64 (4,): mean loss, accuracy, squared norm of the plain gradient, and whether it was clipped (1 or 0).
    `full` is the full gradient, for a penalty with an `acc_strength`. The parameters are as before when it returns.
    """
    inputs, labels = batch
    with watch.timing("gradient"):
        logits = forward(inputs)
        loss = objective(logits, labels)
        doubly = penalty is not None and penalty.method == "autograd"
        plain = gradient = gradient_of(loss, parameters, again=doubly)
    if penalty:
        with watch.timing("penalty"):
            gradient = penalize(
                plain, lambda: objective(forward(inputs), labels), parameters, full, learning_rate, penalty
            )
            plain = [part.detach() for part in plain]
    with torch.no_grad():
        accuracy = (logits.argmax(1) == labels).double().mean()
        square = torch.stack(torch._foreach_norm(plain)).double().square().sum()
        clipped = torch.zeros_like(square)
        if clip_norm is not None:
            clipped = (clip_(gradient, clip_norm) > clip_norm).double()
        return gradient, torch.stack([loss.double(), accuracy, square, clipped])


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
