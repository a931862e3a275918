"""The states of a run on disk: when one is due, which are kept, and from which one a run continues."""

import itertools
import math
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from fbmon.errors import DataError, StorageError
from fbmon.events import CheckpointFailed, CheckpointSaved, StateRestored
from fbmon.host.disk import log, may_pass
from fbmon.recipe import Recipe
from fbmon.run import checkpoint
from fbmon.run.checkpoint import State
from fbmon.run.checkpoints import path_of, refusing_unreadable, steps, steps_to_go_on_from
from fbmon.train.checkpoint.tensors import Learnt
from fbmon.train.control import Emit, NextCommand
from fbmon.train.divergence import DivergenceWatch, Past
from fbmon.train.ranks.distribute import ALONE, Ranks

_PATIENCE = 100  # at most a hundredth of the time goes into saving
_RETRY_SECONDS = 10.0  # after a save that failed
_LAST_SECONDS = 300.0  # for which the save at the end is retried: somebody may make room
_LAST_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)  # between two attempts; after these always the last one
_LOOK_SECONDS = 0.1  # between two checks for a command meanwhile


class _Failure(NamedTuple):
    """The reason why a state could not be saved, and whether a later attempt may succeed."""

    reason: str
    may_pass: bool


class Saving:
    """The saver of a run's states as they are due; it keeps the last ones and the best; `step` counts the updates."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        learnt: Learnt,
        watch: DivergenceWatch,
        emit: Emit,
        ranks: Ranks = ALONE,
        run: str = "",
        data: str = "",
    ) -> None:
        """Make a saver for a run and its `data`, known by their digest."""
        self._run = run
        self._data = data
        self._recipe = recipe
        self._ranks = ranks
        self._folder = folder
        self._settings = recipe.checkpoint
        self._learnt = learnt
        self._watch = watch
        self._emit = emit
        self._due = time.monotonic() + recipe.checkpoint.seconds
        self._failure: _Failure | None = None  # of the last attempt
        self._validated = 0
        self._best: tuple[int, float | None] = (0, None)
        self._waiting: tuple[State, bytes] | None = None  # the state of the best validation, until the next save

    def restore_(self) -> int:
        """Restore the newest good checkpoint, on all ranks, and return its step, 0 if there is none.

        Raises UsageError if settings were changed on which its numbers depend, DataError if it is of another model,
        FbmonError if there are states that cannot be read.
        """
        with refusing_unreadable():
            newest = self._newest() if self._ranks.is_first else None
        state, content = (self._ranks.share(part) for part in newest or (b"", b""))
        if not state:
            return 0
        restored = msgspec.json.decode(state, type=State)
        self._learnt.load_(content)
        self._validated = restored.validated
        self._best = restored.best_step, restored.best_score
        self._watch.past = Past(restored.start_loss, restored.above)
        torch.set_num_threads(restored.threads)
        return restored.step

    def has_validated(self, step: int) -> bool:
        """Say whether the validation after this step has been reported."""
        return self._validated >= step

    def validated(self, step: int, score: float) -> None:
        """Note a validation, the higher the better; the state of the best one goes to disk with the next save."""
        self._validated = step
        if not math.isfinite(score) or (self._best[1] is not None and score <= self._best[1]):
            return
        content = self._learnt.dump() if self._ranks.is_first else None
        if content is not None:
            self._best = step, score
            self._waiting = self._state(step), content

    def after_step(self, step: int) -> None:
        """Save if a checkpoint is due."""
        every = self._settings.every
        if time.monotonic() >= self._due or (every and step % every == 0):
            self.save(step)

    def save(self, step: int) -> bool:
        """Save, and say whether the state is on disk; a failure is reported, and saving is tried again soon."""
        if not self._ranks.is_first:
            return True
        before = self._failure
        failure = self._try(step)
        if failure and failure != before:  # once, not every ten seconds
            self._emit(CheckpointFailed(step, failure.reason))
        return failure is None

    def save_good(self, step: int, next_command: NextCommand) -> str:
        """Save after a step that could not be taken, as `finish` does; say which step is saved now."""
        if self._insist(step, next_command):
            return f"the weights of step {step} are saved"
        there = steps(self._folder)
        return f"the last weights saved are those of step {there[-1]}" if there else "no weights could be saved"

    def finish(self, step: int, next_command: NextCommand) -> None:
        """Save the last state of the run; if that fails, keep trying for minutes, or until somebody asks for a stop.

        Raises StorageError if it could not be saved.
        """
        if not self._insist(step, next_command):
            there = steps(self._folder)
            reason = self._failure.reason if self._failure else ""
            raise StorageError(
                f"the state after step {step} could not be saved: {reason}",
                f"`fbmon resume` goes on from step {there[-1]}, the last that is on the disk"
                if there
                else "no state of this run is on the disk: `fbmon resume` begins again at the first step",
            )

    def _insist(self, step: int, next_command: NextCommand) -> bool:
        """Save at the end of a run, and say whether that succeeded: nobody tries again after this."""
        if not self._ranks.is_first:
            return True
        failure = self._try(step)
        if failure is None or not failure.may_pass:
            return failure is None
        self._emit(CheckpointFailed(step, failure.reason, _LAST_SECONDS))
        began = time.monotonic()
        for pause in itertools.chain(_LAST_PAUSES, itertools.repeat(_LAST_PAUSES[-1])):
            is_stopped = self._wait(pause, next_command)
            if self._try(step) is None:
                return True
            if is_stopped or time.monotonic() - began >= _LAST_SECONDS:
                return False
        raise AssertionError

    def _wait(self, seconds: float, next_command: NextCommand) -> bool:
        """Wait, and say whether somebody asks for a stop; a preempted batch job may use the time until it is killed."""
        end = time.monotonic() + seconds
        with self._ranks.away():
            while time.monotonic() < end:
                time.sleep(_LOOK_SECONDS)
                taken = next_command()
                if taken:
                    self._emit(taken)
                    if taken.command in ("stop", "stop_after_step"):
                        return True
        return False

    def _newest(self) -> tuple[bytes, bytes] | None:
        """Return this run's newest good checkpoint as written, state and tensors; set damaged ones aside and say so."""
        checkpoint.sweep(self._folder)
        damaged = []
        for step in reversed(steps_to_go_on_from(self._folder)):
            try:
                state, content = checkpoint.read(path_of(self._folder, step), self._run)
            except DataError as error:
                log(error.message)
                checkpoint.set_aside(self._folder, step)
                damaged.append(step)
                continue
            checkpoint.refuse_changes(state, self._recipe)
            checkpoint.refuse_other_data(state, self._data, self._recipe.data.dataset)
            self._emit(StateRestored(step, self._name(step), damaged))
            return msgspec.json.encode(state), content
        self._emit(StateRestored(0, "", damaged))
        return None

    def _try(self, step: int) -> "_Failure | None":
        """Try to write the state, and remember why that failed, if it did."""
        began = time.monotonic()
        with self._ranks.away():
            content = self._learnt.dump()
            self._failure = _Failure("it is not finite", False) if content is None else self._write(step, content)
        now = time.monotonic()
        pause = max(self._settings.seconds, _PATIENCE * (now - began))
        self._due = now + (_RETRY_SECONDS if self._failure else pause)
        return self._failure

    def _write(self, step: int, content: bytes) -> "_Failure | None":
        """Write the best state, if one is waiting, then this one."""
        try:
            if self._waiting and self._waiting[0].step != step:
                checkpoint.save(self._folder, *self._waiting)
            checkpoint.save(self._folder, self._state(step), content)
        except OSError as error:
            return _Failure(error.strerror or str(error), may_pass(error))
        self._waiting = None
        self._emit(CheckpointSaved(step, self._name(step), self._best[0]))
        self._delete_others()
        return None

    def _delete_others(self) -> None:
        for step in steps(self._folder)[: -self._settings.keep]:
            if step != self._best[0]:
                checkpoint.delete(self._folder, step)

    def _state(self, step: int) -> State:
        best_step, best_score = self._best
        return State(
            step,
            str(torch.__version__),
            torch.get_num_threads(),
            validated=self._validated,
            best_step=best_step,
            best_score=best_score,
            start_loss=self._watch.past.start_loss,
            above=self._watch.past.above,
            run=self._run,
            recipe=self._recipe.model_dump(exclude_none=True),
            data=self._data,
        )

    def _name(self, step: int) -> str:
        return f"{self._folder.name}/{path_of(self._folder, step).name}"
