"""The run, from the first step to the last.

prepare     device, data, model; the method and its optimizer (descent.py); the checkpoint to continue from (saving.py)
each step   aim: gradient over all blocks, norm and clipping, one look from the host -> move: update -> tell (step.py)
sometimes   look at the sharpness before a step (analysis.py); validate; save; compare weights; a stop: at every block
at the end  save

Every rank runs the same lines; `emit` does nothing on all but the first, which is also the one that saves.
"""

from pathlib import Path

import torch

from fbmon.errors import DivergenceError, NonFiniteError, UsageError
from fbmon.events import PhaseEntered, State
from fbmon.recipe import Recipe
from fbmon.run.code import code_of, digests
from fbmon.train.checkpoint.saving import Saving
from fbmon.train.checkpoint.tensors import Learnt, load_weights_
from fbmon.train.control import Beforehand, Emit, Interrupted, NextCommand
from fbmon.train.data.load import load_in_turn, refuse_misfits
from fbmon.train.divergence import DivergenceWatch
from fbmon.train.evaluate import is_validated
from fbmon.train.hardware.device import choose_device
from fbmon.train.hardware.memory import naming_memory, naming_the_block
from fbmon.train.hardware.precision import set_precision_
from fbmon.train.hardware.process import set_up
from fbmon.train.hardware.threads import choose_threads_
from fbmon.train.models import make_model
from fbmon.train.ranks import replicas
from fbmon.train.ranks.distribute import ALONE, Ranks
from fbmon.train.sharpness.analysis import Analyst
from fbmon.train.step import Stepper


def train(
    recipe: Recipe,
    device_name: str,
    data_dir: Path | None,
    checkpoints: Path,
    emit: Emit,
    next_command: NextCommand,
    *,
    ranks: Ranks = ALONE,
    resume: bool = False,
    run: str = "",
    origin: bytes = b"",
) -> State:
    """Train as the recipe says and report everything to `emit`; return how it ended.

    With `resume`, continue from the newest intact checkpoint of this `run`, or from the beginning if there is none. The
    beginning has new weights, or those of another run, its `origin`: tensors that the first rank knows.
    Raises UsageError (the recipe was changed), DataError, FbmonError (no such device, out of memory),
    StorageError, RankLostError, ReplicaError; and NonFiniteError and DivergenceError after the weights of the last good
    step have been saved.
    """
    device = choose_device(device_name)
    set_up()
    emit(PhaseEntered("loading data"))
    beforehand = Beforehand(emit, next_command)
    next_command = beforehand.next_command
    try:
        data = load_in_turn(recipe.data, data_dir, device, emit, ranks, beforehand.heed)
    except Interrupted as interrupted:
        return interrupted.state  # what the run had on disk, if anything, is as it was
    refuse_misfits(recipe, data)
    emit(PhaseEntered("building the model"))
    torch.manual_seed(recipe.seed)
    with naming_memory(
        "as the model was built", "a smaller model.width or gradient.block, or fewer data.copies, need less"
    ):
        _refuse_other_code(recipe, ranks)
        model = make_model(recipe.model, data.form).to(device)
        if origin := ranks.share(origin):
            load_weights_(model, origin)
        set_precision_(model, recipe.precision)
        choose_threads_(recipe, model, data, ranks)
        stepper = Stepper(recipe, data, model, emit, next_command, ranks)
    section = recipe.analysis
    analyst = None
    if section:
        control, is_random = stepper.control, bool(stepper.random_parts)
        analyst = Analyst(recipe, section, data, model, emit, control.at_block, ranks, is_random=is_random)
    learnt = Learnt(model, stepper.average, stepper.descent)
    watch = DivergenceWatch(recipe.divergence, emit)
    saving = Saving(checkpoints, recipe, learnt, watch, emit, ranks, run, data.digest)
    if ranks.highest(int(resume)):  # only the first knows
        stepper.step = saving.restore_()
    emit(stepper.plan())
    emit(PhaseEntered("training"))
    try:
        with naming_the_block(recipe.gradient.block):
            _take_steps(recipe, stepper, watch, saving, analyst, ranks)
    except Interrupted as interrupted:
        saving.finish(stepper.step, next_command)
        return interrupted.state
    except (NonFiniteError, DivergenceError) as error:
        raise type(error)(f"{error.message}; {saving.save_good(stepper.step, next_command)}", error.hint) from None
    saving.finish(stepper.step, next_command)
    return "finished"


def _refuse_other_code(recipe: Recipe, ranks: Ranks) -> None:
    """Raise UsageError on a rank that has read other code than the first: each reads its own machine's files."""
    code = "".join(f"{name} {digest}\n" for name, digest in sorted(digests(code_of(recipe)).items())).encode()
    if code and ranks.share(code) != code:
        raise UsageError(
            f"{recipe.model.name}: rank {ranks.rank} has another version of the code than rank 0",
            "put the recipe and its code on a file system that all machines share",
        )


def _take_steps(
    recipe: Recipe, stepper: Stepper, watch: DivergenceWatch, saving: Saving, analyst: Analyst | None, ranks: Ranks
) -> None:
    """Take all steps that are left."""
    replicas.compare(stepper.model, ranks, stepper.step)
    if is_validated(recipe, stepper.step) and not saving.has_validated(stepper.step):
        saving.validated(stepper.step, stepper.validate(stepper.step))  # the run was interrupted in the middle of it
    for number in range(stepper.step + 1, recipe.steps + 1):
        step = stepper.plan_step(number)
        if analyst:
            analyst.before(step)
        measures = stepper.take_step(step)
        if analyst:
            analyst.after(step, measures)
        watch.step(number, measures.loss)
        if number % replicas.EVERY == 0 or number == recipe.steps:
            replicas.compare(stepper.model, ranks, number)
        if is_validated(recipe, number):
            saving.validated(number, stepper.validate(number))
        if number < recipe.steps:
            stepper.control.after_step(lambda: saving.save(stepper.step))
            saving.after_step(number)
