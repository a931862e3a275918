"""A run that diverges: its loss stays far above its start, step after step, finite as it may be."""

from dataclasses import dataclass

from fbmon.errors import DivergenceError
from fbmon.events import DivergenceFound
from fbmon.recipe import Divergence
from fbmon.train.control import Emit


@dataclass
class Past:
    """The memory of the steps so far; part of every checkpoint."""

    start_loss: float | None = None  # of the first step
    above: int = 0  # steps in a row, up to the last one


class DivergenceWatch:
    """Looks at each step's loss, the same bits on all ranks, so that all come to the same end."""

    def __init__(self, wanted: Divergence, emit: Emit) -> None:
        self.past = Past()
        self._wanted = wanted
        self._emit = emit

    def step(self, step: int, loss: float) -> None:
        """Tell once of each stretch that the run diverges. Raises DivergenceError if that is to end it."""
        past, wanted = self.past, self._wanted
        if past.start_loss is None:
            past.start_loss = loss
        past.above = past.above + 1 if loss > wanted.factor * past.start_loss else 0
        if past.above == wanted.steps:
            self._emit(DivergenceFound(step, loss, past.start_loss, past.above))
        if past.above >= wanted.steps and wanted.stop:
            raise DivergenceError(
                f"the loss has been above {wanted.factor:g} times that of the first step ({past.start_loss:.4g}) for "
                f"{past.above} steps: {loss:.4g} at step {step}",
                "a lower learning rate, a longer warm-up or a smaller clip norm may help",
            )
