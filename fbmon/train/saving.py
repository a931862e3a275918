"""Which states of a run are on disk: when one is due, which are kept, and which one a run goes on from."""

import time
from pathlib import Path

import msgspec
import torch

from fbmon.checkpoints import path_of, steps
from fbmon.errors import DataError, StorageError
from fbmon.events import CheckpointFailed, CheckpointSaved, StateRestored
from fbmon.recipe import Checkpoint
from fbmon.train import checkpoint
from fbmon.train.checkpoint import State
from fbmon.train.control import Emit
from fbmon.train.distribute import ALONE, Ranks
from fbmon.train.divergence import DivergenceWatch, Past
from fbmon.train.tensors import Learnt

_PATIENCE = 100  # at most a hundredth of the time goes into saving
_RETRY_SECONDS = 10.0  # after a save that failed
_LAST_TRIES = 3  # of the save at the end, a second apart


class Saving:
    """Saves when it is due, keeps the last ones and the best; `step` counts the updates that the state has had."""

    def __init__(
        self,
        folder: Path,
        wanted: Checkpoint,
        learnt: Learnt,
        watch: DivergenceWatch,
        emit: Emit,
        ranks: Ranks = ALONE,
    ) -> None:
        self._ranks = ranks
        self._folder = folder
        self._wanted = wanted
        self._learnt = learnt
        self._watch = watch
        self._emit = emit
        self._due = time.monotonic() + wanted.seconds
        self._told = ""  # why the last try has failed; empty if it has not
        self._validated = 0
        self._best: tuple[int, float | None] = (0, None)
        self._waiting: tuple[State, bytes] | None = None  # the state of the best validation, until the next save

    def restore_(self) -> int:
        """Put the newest good checkpoint into place, on all ranks; the step that it is of, 0 if there is none.

        Raises DataError if it is not one of this recipe's run.
        """
        found = self._newest() if self._ranks.is_first else None
        state, content = (self._ranks.share(part) for part in found or (b"", b""))
        if not state:
            return 0
        known = msgspec.json.decode(state, type=State)
        self._learnt.load_(content)
        self._validated = known.validated
        self._best = known.best_step, known.best_accuracy
        self._watch.past = Past(known.start_loss, known.above)
        torch.set_num_threads(known.threads)
        return known.step

    def has_validated(self, step: int) -> bool:
        """Whether the validation after this step has been told."""
        return self._validated >= step

    def validated(self, step: int, accuracy: float | None) -> None:
        """Note a validation; the state of the best one goes to disk with the next save."""
        self._validated = step
        if accuracy is None or (self._best[1] is not None and accuracy <= self._best[1]):
            return
        content = self._learnt.dump() if self._ranks.is_first else None
        if content is not None:
            self._best = step, accuracy
            self._waiting = self._state(step), content

    def after_step(self, step: int) -> None:
        """Save if it is due."""
        every = self._wanted.every
        if time.monotonic() >= self._due or (every and step % every == 0):
            self.save(step)

    def save(self, step: int) -> bool:
        """Save, and say whether the state is on disk; where it cannot be, that is told, and tried again soon."""
        if not self._ranks.is_first:
            return True
        began = time.monotonic()
        with self._ranks.away():
            content = self._learnt.dump()
            problem = "it is not finite" if content is None else self._write(step, content)
        now = time.monotonic()
        self._due = now + (_RETRY_SECONDS if problem else max(self._wanted.seconds, _PATIENCE * (now - began)))
        if problem and problem != self._told:  # once, not every ten seconds
            self._emit(CheckpointFailed(step, problem))
        self._told = problem
        return not problem

    def save_good(self, step: int) -> str:
        """Save after a step that could not be taken, and say of which step there is a state now."""
        if self.save(step):
            return f"the weights of step {step} are saved"
        there = steps(self._folder)
        return f"the last weights saved are those of step {there[-1]}" if there else "no weights could be saved"

    def finish(self, step: int) -> None:
        """Save the last state of the run. Raises StorageError if that cannot be done."""
        for remaining in reversed(range(_LAST_TRIES)):
            if self.save(step):
                return
            if remaining:
                time.sleep(1.0)
        raise StorageError(
            f"the state after step {step} could not be saved: {self._told}",
            "`fbmon resume` goes on from the last checkpoint that is on disk",
        )

    def _newest(self) -> tuple[bytes, bytes] | None:
        """The newest checkpoint that is as it was written: state and tensors; damaged ones are set aside and told."""
        checkpoint.sweep(self._folder)
        damaged = []
        for step in reversed(steps(self._folder)):
            try:
                state, content = checkpoint.read(path_of(self._folder, step))
            except DataError as error:
                print(error.message, flush=True)  # into trainer.log
                checkpoint.set_aside(self._folder, step)
                damaged.append(step)
                continue
            self._emit(StateRestored(step, self._name(step), damaged))
            return msgspec.json.encode(state), content
        self._emit(StateRestored(0, "", damaged))
        return None

    def _write(self, step: int, content: bytes) -> str:
        """Write the best state, if it waits, then this one; return why that failed, or nothing."""
        try:
            if self._waiting and self._waiting[0].step != step:
                checkpoint.save(self._folder, *self._waiting)
            checkpoint.save(self._folder, self._state(step), content)
        except OSError as error:
            return error.strerror or str(error)
        self._waiting = None
        self._emit(CheckpointSaved(step, self._name(step), self._best[0]))
        self._delete_others()
        return ""

    def _delete_others(self) -> None:
        for step in steps(self._folder)[: -self._wanted.keep]:
            if step != self._best[0]:
                checkpoint.delete(self._folder, step)

    def _state(self, step: int) -> State:
        best_step, best_accuracy = self._best
        return State(
            step,
            str(torch.__version__),
            torch.get_num_threads(),
            validated=self._validated,
            best_step=best_step,
            best_accuracy=best_accuracy,
            start_loss=self._watch.past.start_loss,
            above=self._watch.past.above,
        )

    def _name(self, step: int) -> str:
        return f"{self._folder.name}/{path_of(self._folder, step).name}"
