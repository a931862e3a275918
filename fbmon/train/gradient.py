"""The full-batch gradient: the mean over all blocks, each with its own batch-norm statistics and penalty."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fbmon.train.engine.work import Engine, Pass
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.mean.statistics import RunningStatistics
from fbmon.train.objective.regularize import Gradient
from fbmon.train.ranks.distribute import ALONE, Ranks


@dataclass(frozen=True)
class FullGradient:
    """The mean gradient over all images at the present weights."""

    gradient: Gradient  # like the parameters, in their dtype
    is_good: Tensor  # 1; or 0 if the mean has to adapt and the pass to be repeated
    rows: Tensor  # float64 (blocks, 4) on the device: the measures of each by `block_gradient`


def full_gradient(
    engine: Engine,
    work: Pass,
    statistics: RunningStatistics,
    on_block: Callable[[int], None],
    watch: Stopwatch,
    ranks: Ranks = ALONE,
) -> FullGradient:
    """Make one pass over all blocks (paper, section 2, steps 1 to 3); every rank gets the same result, to the last bit.

    The statistics and the mean have been started, and the engine has begun. `on_block(k)` is called before each round
    of one block a rank, with the first of them, and may raise, on all ranks.
    """
    mean, blocks = work.mean, len(work.update.blocks)
    rows = torch.zeros(blocks, 4, dtype=torch.float64, device=mean.device)
    try:
        for first, k in ranks.rounds(blocks):
            on_block(first)
            statistics.next_block(engine.join)
            if k is not None:  # in the last round there may be more ranks than blocks
                engine.add(k, rows[k])
    finally:
        engine.join()
    engine.finish()
    with watch.timing("mean"):
        statistics.finish()
        ranks.sum_(rows)  # each block's row is zero on all ranks but one
        return FullGradient(mean.finish(), mean.is_good(), rows)
