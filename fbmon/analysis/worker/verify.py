"""The process that computes one gradient in several ways and some steps again; prints what agrees, as JSON.

`python -m fbmon.analysis.worker.verify first ASK`, or `rank RANK` for the part of one rank.
"""

import subprocess
import sys
from pathlib import Path

import msgspec
from safetensors.torch import load_file, save_file
from torch import Tensor

from fbmon import recipe as recipes
from fbmon.analysis.verdict import WARNING, Ask, Compared, Share, Verdict
from fbmon.analysis.worker.again import repeat, trained_on
from fbmon.analysis.worker.bits import compare
from fbmon.analysis.worker.gradient import gradient_after
from fbmon.errors import Exit, FbmonError
from fbmon.host.scratch import folder_of_a_moment
from fbmon.ranks.meeting import Meeting
from fbmon.recipe import Recipe
from fbmon.run import RunFolder, as_path, written
from fbmon.store.notes import differences
from fbmon.train.hardware.device import choose_device
from fbmon.train.hardware.precision import emulation
from fbmon.train.hardware.process import set_up
from fbmon.train.hardware.this_machine import this_machine
from fbmon.train.ranks.meet import Waiting
from fbmon.train.ranks.process_group import join, leave_together

_GRADIENT = "gradient.safetensors"
_PATIENCE = 600.0  # seconds for the ranks to find each other


def main() -> None:
    set_up()
    if sys.argv[1] == "rank":
        _help(msgspec.json.decode(sys.argv[2], type=Share))
        return
    ask = msgspec.json.decode(sys.argv[2], type=Ask)
    try:
        verdict = verify(ask)
    except (FbmonError, RuntimeError) as error:  # torch's out of memory is a RuntimeError
        sys.exit(str(error).splitlines()[0])
    sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")


def verify(ask: Ask) -> Verdict:
    """Compare the gradients and steps of an order and return the report."""
    folder, device = RunFolder(as_path(ask.folder)), ask.devices[0]
    recipe = recipes.load(folder.resolved)
    slow = emulation(recipe.precision, choose_device(device))
    if slow:
        print(f"{WARNING}{slow}: all takes many times as long as in float32", flush=True)
    first = gradient_after(folder, recipe, ask.step, device)
    _begin("the same once more")
    again = gradient_after(folder, recipe, ask.step, device)
    _begin("its blocks in reverse")
    reverse = gradient_after(folder, recipe, ask.step, device, backwards=True)
    is_exact = recipe.gradient.accumulation == "exact"
    # An average that weights blocks by their position is a different one in another order.
    compared = [
        compare("the same once more", first, again, is_promised=True),
        compare("its blocks in reverse", first, reverse, is_promised=is_exact),
    ]
    skipped = []
    if len(ask.devices) > 1:
        _begin(f"by {len(ask.devices)} ranks")
        compared.append(_by_ranks(ask, first, is_promised=is_exact))
    else:
        skipped.append("several ranks: one device only; --devices names more")
    _begin(f"in {ask.precision}")
    other, is_own = _in_precision(recipe, ask.precision), ask.precision == recipe.precision
    given_up = "" if is_own else emulation(other.precision, choose_device(device))
    if given_up:
        skipped.append(f"in {ask.precision}: {given_up}")
    else:
        gradient = gradient_after(folder, other, ask.step, device)
        compared.append(compare(f"in {ask.precision}", first, gradient, is_promised=is_own))
    _begin("steps taken again")
    repeated = repeat(folder, ask.since, ask.steps, device)
    before = trained_on(folder, ask.since)
    differing = differences(before, this_machine(choose_device(device))) if before else []
    return Verdict(ask.step, device, tuple(compared), ask.since, repeated, tuple(skipped), tuple(differing))


def _begin(stage: str) -> None:
    """Print the stage of the work: the waiting command shows every line that is not JSON."""
    print(stage, flush=True)


def _in_precision(recipe: Recipe, precision: str) -> Recipe:
    return recipe.model_copy(update={"precision": precision})


def _by_ranks(ask: Ask, first: Tensor, *, is_promised: bool) -> Compared:
    count = len(ask.devices)
    with folder_of_a_moment(as_path(ask.folder)) as temporary:
        meeting = Meeting(Path(temporary), count)
        running = [_start(ask, index, temporary, meeting) for index in range(count)]
        meeting.begun()
        codes = [process.wait() for process in running]
        if any(codes):
            raise FbmonError("one of the ranks has failed")
        gradient = load_file(Path(temporary) / _GRADIENT)["gradient"]
    return compare(f"by {count} ranks", first, gradient, is_promised=is_promised)


def _start(ask: Ask, index: int, temporary: str, meeting: Meeting) -> "subprocess.Popen[bytes]":
    rank = meeting.rank(index)
    share = Share(ask, rank, written(Path(temporary)))
    return subprocess.Popen(
        [sys.executable, "-m", "fbmon.analysis.worker.verify", "rank", msgspec.json.encode(share)],
        pass_fds=[] if rank.listener is None else [rank.listener],
    )


def _help(share: Share) -> None:
    folder, ask, rank = RunFolder(as_path(share.ask.folder)), share.ask, share.rank
    ranks, device = join(rank, ask.devices[rank.index], lambda _: None, Waiting(_PATIENCE))
    gradient = gradient_after(folder, recipes.load(folder.resolved), ask.step, device, ranks)
    leave_together(ranks, Exit.FINISHED)
    if rank.index == 0:
        save_file({"gradient": gradient}, as_path(share.goal) / _GRADIENT)


if __name__ == "__main__":
    main()
