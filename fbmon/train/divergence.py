"""The detection of a diverging run: its loss, though finite, stays far above its start, step after step."""

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
    """A watch over each step's loss, which has the same bits on all ranks, so that all come to the same end."""

    def __init__(self, section: Divergence, emit: Emit) -> None:
        self.past = Past()
        self._wanted = section
        self._emit = emit

    def step(self, step: int, loss: float) -> None:
        """Report each stretch of divergence once. Raises DivergenceError if it is to end the run."""
        past, section = self.past, self._wanted
        if past.start_loss is None:
            past.start_loss = loss
        past.above = past.above + 1 if loss > section.factor * past.start_loss else 0
        if past.above == section.steps:
            self._emit(DivergenceFound(step, loss, past.start_loss, past.above))
        if past.above >= section.steps and section.stop:
            raise DivergenceError(
                f"the loss has been above {section.factor:g} times that of the first step ({past.start_loss:.4g}) for "
                f"{past.above} steps: {loss:.4g} at step {step}",
                "a lower learning rate, a longer warm-up or a smaller clip norm may help",
            )
