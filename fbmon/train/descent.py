"""An update of the weights: the mean gradient over its blocks, clipped, looked at from the host, checked, applied."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from fbmon.errors import NonFiniteError
from fbmon.events import NonFiniteFound, PassRepeated, ProgressMade
from fbmon.recipe import LineSearch, PackageOptimizer, Recipe
from fbmon.train.control import Emit
from fbmon.train.engine import CaptureError, Eager, make_engine
from fbmon.train.engine.network import MakeBatch, Network
from fbmon.train.engine.work import Pass
from fbmon.train.gradient import FullGradient, full_gradient
from fbmon.train.hardware.stopwatch import Stopwatch
from fbmon.train.line_search import Search
from fbmon.train.mean.mean import ExactMean, Mean, PlainMean, make_mean, weights
from fbmon.train.mean.statistics import RunningStatistics
from fbmon.train.measure import Measures, look, norm_of
from fbmon.train.objective.clip import clip_
from fbmon.train.objective.loss import make_objective
from fbmon.train.objective.regularize import Gradient, forward_passes, make_regularizer
from fbmon.train.optimize import decayed, make_optimizer
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.snapshot import Snapshot
from fbmon.train.step_plan import Step, Update


class Descent:
    """The recipe's method on one model; it owns the optimizer, batch norm's running statistics and the stopwatch.

    `blocks` is the number of blocks of a full-batch update, `make_batch` gives their images. `at_block` is called
    before each block, after its progress was emitted, and may raise. A network that `is_random` is seeded for each
    block. If the images are streamed, `expect` is told the blocks that this rank will ask for next.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        blocks: int,
        make_batch: MakeBatch,
        ranks: Ranks = ALONE,
        emit: Emit = lambda _: None,
        at_block: Callable[[], None] = lambda: None,
        *,
        is_random: bool = False,
        expect: Callable[[Sequence[Tensor]], None] | None = None,
    ) -> None:
        self.optimizer = make_optimizer(model, recipe.optimizer)
        self._spoils_gradients = isinstance(recipe.optimizer, PackageOptimizer)  # Shampoo works in their memory
        self.regularizer = make_regularizer(recipe.penalty)
        self.watch = Stopwatch(next(model.parameters()).device)
        self._clip_norm = recipe.clip.norm if recipe.clip else None
        self._model = model
        self._parameters = list(model.parameters())
        self._decayed = decayed(model, recipe.optimizer)
        self._ranks = ranks
        self._emit = emit
        self._at_block = at_block
        self._statistics = RunningStatistics(model, recipe.model.running_statistics, ranks)
        section = recipe.optimizer
        self.search = Search(self.optimizer, model, section) if isinstance(section, LineSearch) else None
        self._accumulation = recipe.gradient.accumulation
        self._mean = make_mean(self._accumulation, self._parameters, blocks, ranks)
        self._acc_mean = make_mean(self._accumulation, self._parameters, blocks, ranks)  # of gradients without penalty
        self._single = PlainMean(self._parameters, ranks)  # a single gradient is its own mean, and is always good
        self.network = Network(
            model,
            make_batch,
            make_objective(recipe.loss),
            recipe.precision,
            recipe.clip.block_norm if recipe.clip else None,
            seed=recipe.seed if is_random else None,
        )
        self._expect = expect
        self._engine = make_engine(self.network, self._statistics, self.watch, is_streamed=expect is not None)

    def make_ready(self, step: Step) -> str:
        """Record what an engine has to record of a step's updates; return what a user is told of the engine."""
        work = self._work(step.updates()[0])
        self._model.train()
        self._begin(work)
        return self._engine.name

    def update_(self, update: Update) -> Measures:
        """Update the weights and return what was measured at those before.

        Raises NonFiniteError if a measure is not finite: with the weights as before, unless it was met in a search.
        """
        if self.search:
            return self.search.step_(lambda must_be_finite: self._look_for_search(update, must_be_finite))
        gradient, measures = self.gradient(update)
        self._check(update.step.number, measures)
        for parameter, part in zip(self._parameters, gradient, strict=True):
            parameter.grad = part.clone() if self._spoils_gradients else part
        for group in self.optimizer.param_groups:
            group["lr"] = update.step.learning_rate * group.get("lr_share", 1.0)
        with self.watch.timing("update"):
            self.optimizer.step()
        if self._spoils_gradients:
            for parameter, part in zip(self._parameters, gradient, strict=True):
                parameter.grad = part  # as the analysis looks at it
        return measures

    def _look_for_search(self, update: Update, must_be_finite: bool) -> tuple[Gradient, Measures]:
        gradient, measures = self.gradient(update)
        if must_be_finite:
            self._check(update.step.number, measures)
        return gradient, measures

    def gradient(self, update: Update) -> tuple[Gradient, Measures]:
        """Return the mean gradient over the update's blocks, penalized and clipped, and its measures."""
        self._model.train()
        full = None
        if self.regularizer and self.regularizer.needs_full_gradient(len(update.blocks)):
            full, _ = self._good_pass(self._work(update, self._acc_mean, is_plain=True))
        return self._good_pass(self._work(update, full=full), self._clip_norm)

    def _good_pass(self, work: Pass, clip_norm: float | None = None) -> tuple[Gradient, Measures]:
        """Compute a pass, clip its gradient and look at it; do so again if the mean must adapt."""
        before = Snapshot(self._model)
        gradient, measures = self._look(work, clip_norm)
        if not measures.is_good:
            before.restore_()
            work.mean.adapt()
            self._emit(PassRepeated(work.update.step.number))
            gradient, measures = self._look(work, clip_norm)
        return gradient, measures

    def _look(self, work: Pass, clip_norm: float | None) -> tuple[Gradient, Measures]:
        full = self._compute(work)  # forward and backward through every block, on all ranks
        norm = clip_(full.gradient, clip_norm)
        measures = look(full, norm, work.full, self._parameters, self._decayed, work.update.images)  # the one copy
        return full.gradient, measures

    def _check(self, step: int, measures: Measures) -> None:
        names = measures.not_finite()
        if names:
            self._emit(NonFiniteFound(step, names))
            raise NonFiniteError(
                f"step {step} was not finite ({', '.join(names)})",
                "a lower learning rate, a longer warm-up or a smaller clip norm may help",
            )

    def units(self) -> dict[str, Tensor]:
        """Return what the exact means remember from step to step: float64 (parameters,), on the device."""
        means = {"mean": self._mean, "acc_mean": self._acc_mean}
        return {name: mean.units for name, mean in means.items() if isinstance(mean, ExactMean)}

    def weight_norms(self) -> tuple[float, float]:
        """Return the L2 norms of all parameters, and of those that weight decay acts on."""
        return norm_of(self._parameters).item(), norm_of(self._decayed).item()

    def _work(
        self, update: Update, mean: Mean | None = None, full: Gradient | None = None, *, is_plain: bool = False
    ) -> Pass:
        usual = self._mean if len(update.blocks) > 1 else self._single
        shares = weights(self._accumulation, update.images)
        return Pass(update, mean or usual, shares, None if is_plain else self.regularizer, full)

    def _compute(self, work: Pass) -> FullGradient:
        update, step = work.update, work.update.step
        self._begin(work)

        def on_block(k: int) -> None:
            self._emit(ProgressMade("training", step.number, update.first + k, len(step.blocks)))
            self._at_block()

        return full_gradient(self._engine, work, self._statistics, on_block, self.watch, self._ranks)

    def _begin(self, work: Pass) -> None:
        """Start mean, statistics and engine; go on block by block where the engine cannot capture the work."""
        update = work.update
        if self._expect:
            own = self._ranks.own(len(update.blocks))
            later = update.step.blocks[update.first + 1 :] if update.step.is_by_block and own else []
            self._expect([*(update.blocks[k] for k in own), *later])
        share = sum(update.images) / update.step.images
        shares = [share * part for part in weights("exact", update.images)]
        self._statistics.start(shares, forward_passes(work.regularizer), goes_on=update.first > 0)
        work.mean.start()
        try:
            self._engine.begin(work)
        except CaptureError as error:
            self._engine = Eager(self.network, self._statistics, self.watch, f"block by block: {error}")
            self._engine.begin(work)
