"""An update of the weights: the mean gradient over some blocks, clipped, checked on the host, then applied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from fbmon.recipe import Penalty, Recipe
from fbmon.train.engine import CaptureError, Eager, make_engine
from fbmon.train.engine.network import MakeBatch, Network
from fbmon.train.engine.work import Pass
from fbmon.train.gradient import full_gradient
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.mean.mean import ExactMean, Mean, PlainMean, make_mean, weights
from fbmon.train.mean.statistics import RunningStatistics
from fbmon.train.measure import Measures, look, norm_of
from fbmon.train.objective.clip import clip_
from fbmon.train.objective.loss import smoothed_cross_entropy
from fbmon.train.objective.regularize import Gradient, forward_passes, needs_full_gradient
from fbmon.train.optimize import decayed, make_optimizer
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.snapshot import Snapshot


@dataclass(frozen=True)
class Work:
    """The order for an update: its blocks, step, learning rate and callbacks."""

    blocks: Sequence[Tensor]  # the numbers of the images of each
    step: int  # by which they are augmented
    rate: float  # the learning rate, which scales the penalty too
    on_block: Callable[[int], None]  # called before each block; may raise
    on_repeat: Callable[[], None]  # called when a pass has to be made once more
    share: float = 1.0  # of the images of the step, which may have more updates
    goes_on: bool = False  # whether the step has had an update before


class Descent:
    """The recipe's method on one model; it owns the optimizer, batch norm's running statistics and the stopwatch.

    `blocks` is the number of blocks of a full-batch update, `make_batch` gives their images.
    """

    def __init__(
        self, recipe: Recipe, model: nn.Module, blocks: int, make_batch: MakeBatch, ranks: Ranks = ALONE
    ) -> None:
        self.optimizer = make_optimizer(model, recipe.optimizer)
        self.watch = Stopwatch(next(model.parameters()).device)
        self._recipe = recipe
        self._model = model
        self._parameters = list(model.parameters())
        self._decayed = decayed(model, recipe.optimizer)
        self._ranks = ranks
        self._statistics = RunningStatistics(model, recipe.model.running_statistics, ranks)
        accumulation = recipe.gradient.accumulation
        self._mean = make_mean(accumulation, self._parameters, blocks, ranks)
        self._acc_mean = make_mean(accumulation, self._parameters, blocks, ranks)  # of gradients without penalty
        self._single = PlainMean(self._parameters, ranks)  # a single gradient is its own mean, and is always good
        smoothing, clip = recipe.loss.label_smoothing, recipe.clip
        self.network = Network(
            model,
            make_batch,
            lambda logits, labels: smoothed_cross_entropy(logits, labels, smoothing),
            recipe.precision,
            clip.block_norm if clip else None,
        )
        self._engine = make_engine(self.network, self._statistics, self.watch)

    def make_ready(self, blocks: Sequence[Tensor]) -> str:
        """Capture what the engine needs for updates by such blocks, and return its name for users."""
        mean = self._mean if len(blocks) > 1 else self._single
        part = Pass(blocks, [0.0] * len(blocks), 1, 0.0, mean, self._recipe.penalty)
        self._model.train()
        self._statistics.start(part.weights, forward_passes(part.penalty))
        mean.start()
        self._begin(part)
        return self._engine.name

    def aim_(self, work: Work) -> Measures:
        """Set the parameters' `grad` to the clipped mean gradient over the blocks, and measure it."""
        self._model.train()
        penalty, clip = self._recipe.penalty, self._recipe.clip
        mean = self._mean if len(work.blocks) > 1 else self._single
        acc = None
        if needs_full_gradient(penalty, len(work.blocks)):
            acc, _ = self._good_pass(work, self._acc_mean)
        gradient, measures = self._good_pass(work, mean, penalty, acc, clip.norm if clip else None)
        for parameter, part in zip(self._parameters, gradient, strict=True):
            parameter.grad = part
        return measures

    def move_(self, rate: float) -> None:
        """Update the weights by their present gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.watch.timing("update"):
            self.optimizer.step()

    def units(self) -> dict[str, Tensor]:
        """Return the units that the exact means remember from step to step: float64 (parameters,), on the device."""
        means = {"mean": self._mean, "acc_mean": self._acc_mean}
        return {name: mean.units for name, mean in means.items() if isinstance(mean, ExactMean)}

    def weight_norms(self) -> tuple[float, float]:
        """Return the L2 norms of all parameters, and of those that weight decay acts on."""
        return norm_of(self._parameters).item(), norm_of(self._decayed).item()

    def _good_pass(
        self,
        work: Work,
        mean: Mean,
        penalty: Penalty | None = None,
        acc: Gradient | None = None,
        threshold: float | None = None,
    ) -> tuple[Gradient, Measures]:
        """Make a pass, and repeat it once if the mean asks for it."""
        before = Snapshot(self._model)
        gradient, measures = self._pass(work, mean, penalty, acc, threshold)
        if not measures.is_good:
            before.restore_()
            mean.adapt()
            work.on_repeat()
            gradient, measures = self._pass(work, mean, penalty, acc, threshold)
        return gradient, measures

    def _pass(
        self, work: Work, mean: Mean, penalty: Penalty | None, acc: Gradient | None, threshold: float | None
    ) -> tuple[Gradient, Measures]:
        images = [len(numbers) for numbers in work.blocks]
        counts = weights(self._recipe.gradient.accumulation, images)
        part = Pass(work.blocks, counts, work.step, work.rate, mean, penalty, acc)
        shares = [work.share * share for share in weights("exact", images)]
        self._statistics.start(shares, forward_passes(penalty), goes_on=work.goes_on)
        mean.start()
        self._begin(part)
        full = full_gradient(self._engine, part, self._statistics, work.on_block, self.watch, self._ranks)
        norm = clip_(full.gradient, threshold)
        return full.gradient, look(full, norm, acc, self._parameters, self._decayed, images)

    def _begin(self, part: Pass) -> None:
        try:
            self._engine.begin(part)
        except CaptureError as error:
            self._engine = Eager(self.network, self._statistics, self.watch, f"block by block: {error}")
            self._engine.begin(part)
