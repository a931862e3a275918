"""What one rank does: begin the journal, then import torch and train, and say how it ended."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

import fbmon
from fbmon import folder as folders
from fbmon import recipe as recipes
from fbmon.crew.beats import Beats, Doing
from fbmon.crew.seat import Seat
from fbmon.crew.start import Start
from fbmon.disk import log
from fbmon.errors import Exit, FbmonError, RankLostError
from fbmon.events import Event, PhaseEntered, RunEnded, RunResumed, RunStarted, State
from fbmon.folder import Meta, RunFolder
from fbmon.orders import Orders
from fbmon.recipe import Recipe
from fbmon.teller import Teller

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


@dataclass(frozen=True)
class Part:
    """A rank's part of a run: what to train, on what, and whom to tell."""

    recipe: Recipe
    seat: Seat
    device: str
    data_dir: Path | None
    checkpoints: Path
    folder: RunFolder | None = None  # only the first rank's
    teller: Teller | None = None  # likewise
    tell_doing: Callable[[Doing], None] = lambda _: None
    patience: float | None = None  # seconds to wait for the others; None: the supervisor looks after that


def main() -> None:
    start = msgspec.json.decode(sys.argv[2], type=Start)
    os.umask(0o077)
    _die_with_supervisor()
    folder = RunFolder(Path(sys.argv[1]))
    meta = msgspec.json.decode(folder.meta.read_bytes(), type=Meta)
    is_first, beats = start.rank == 0, Beats(start.beats, start.ranks)
    part = Part(
        recipes.load(folder.resolved),
        Seat(
            start.rank,
            start.ranks,
            start.rank,
            folder.path / start.store if start.store else None,
            start.address,
            listener=start.listener,
        ),
        start.device,
        folders.as_path(meta.data_dir) if meta.data_dir else None,
        folder.checkpoints,
        folder if is_first else None,
        Teller(folder, start.queue) if is_first else None,
        lambda doing: beats.write(start.rank, doing),
    )
    leave(work(part))


def leave(code: int) -> NoReturn:
    """End this process, whatever of its output is lost on a full disk.

    Not through the interpreter's own exit: with the others gone, a process group may wait for them there for ever.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def work(part: Part) -> int:
    """Do the rank's part, tell everything if it is the first, and return the exit code."""
    told = part.teller or Silence()
    try:
        ended = _train(part, told)
    except RankLostError as error:
        log(error.message)
        if not part.seat.engine:
            return error.exit_code  # the supervisor knows better who is gone
        ended = RunEnded("killed", error.exit_code, told.step, error.message, error.hint)
    except FbmonError as error:
        log(error.message, error.hint)
        state: State = "diverged" if error.exit_code == Exit.DIVERGED else "failed"
        ended = RunEnded(state, error.exit_code, told.step, error.message, error.hint)
    except Exception as error:
        log(traceback.format_exc())
        reason = " ".join(f"{type(error).__name__}: {error}".split())  # one line; the log has the rest
        ended = RunEnded("failed", Exit.FAILED, told.step, reason)
    told.emit(ended)
    return ended.exit_code


def _train(part: Part, told: "Teller | Silence") -> RunEnded:
    orders = Orders(part.folder)
    if told.has_begun:
        told.emit(RunResumed(fbmon.__version__, os.getpid()))
    elif part.folder:
        name, recipe = part.folder.name, part.recipe
        told.emit(RunStarted(name, recipe.name, recipe.steps, fbmon.__version__, os.getpid()))
    told.emit(PhaseEntered("loading torch"))
    from fbmon.train.group import joined  # torch takes seconds to import; by now a screen says so
    from fbmon.train.loop import train

    with joined(part.seat, part.device, part.tell_doing, part.patience) as (ranks, device):
        state = train(
            part.recipe,
            device,
            part.data_dir,
            part.checkpoints,
            told.emit,
            orders.next,
            ranks=ranks,
            resume=told.has_begun,
        )
    if state == "finished":
        return RunEnded(state, Exit.FINISHED, told.step)
    code = Exit.PREEMPTED if state == "preempted" else Exit.STOPPED
    return RunEnded(state, code, told.step, f"by {told.source}; the state is saved")


class Silence:
    """What the ranks have in place of a teller that are not the first: they tell nothing."""

    step = 0
    source = ""
    has_begun = False

    def emit(self, event: Event) -> None:
        pass


def _die_with_supervisor() -> None:
    """Leave when the supervisor is gone, however it went: by the end of its pipe, and where there is, by the kernel.

    Of a process that is stopped, or hangs in a driver, only the kernel gets hold.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_leave_at_end_of_pipe, daemon=True).start()


def _leave_at_end_of_pipe() -> None:
    os.read(0, 1)  # returns when the supervisor is gone; sys.stdin would be locked at the interpreter's own exit
    os._exit(Exit.LOST)


if __name__ == "__main__":
    main()
