"""The work of one rank: begin the journal, then import torch and train, and say how it ended."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

import fbmon
from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.errors import Exit, FbmonError, RankLostError
from fbmon.events import Event, PhaseEntered, RunEnded, RunResumed, RunStarted, State
from fbmon.host.disk import log
from fbmon.host.signals import exit_code
from fbmon.host.threads import start_thread
from fbmon.process.commands import Commands, Signalled
from fbmon.process.emit import Emitter
from fbmon.ranks.heartbeat import Doing, Heartbeat
from fbmon.ranks.rank import Rank
from fbmon.ranks.start import Start
from fbmon.recipe import Recipe
from fbmon.run import RunFolder
from fbmon.run.checkpoints import steps

if TYPE_CHECKING:
    from fbmon.train.ranks.distribute import Ranks

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


@dataclass(frozen=True)
class Assignment:
    """The work of a rank: what to train, on what, and whom to tell."""

    recipe: Recipe
    rank: Rank
    device: str
    data_dir: Path | None
    checkpoints: Path
    folder: RunFolder | None = None  # only the first rank's
    emitter: Emitter | None = None  # likewise
    tell_doing: Callable[[Doing], None] = lambda _: None
    patience: float | None = None  # seconds to wait for the others; None: the supervisor looks after that
    conclude: Callable[[], None] = lambda: None  # what is left to do when all is told, before the other ranks may leave

    def read_origin(self) -> bytes:
        """Return the weights of another run with which this one begins, as safetensors; empty for new ones."""
        meta = self.folder.read_meta() if self.folder else None
        return folders.read_origin(self.folder, meta.origin) if self.folder and meta and meta.origin else b""


def main() -> None:
    start = msgspec.json.decode(sys.argv[2], type=Start)
    os.umask(0o077)
    folder = RunFolder(Path(sys.argv[1]))
    meta = folder.read_meta()
    is_first, heartbeat = start.rank.index == 0, Heartbeat(start.heartbeat, start.rank.size)
    emitter = Emitter(folder, start.queue) if is_first else None
    try:
        _die_with_supervisor()
        recipe = recipes.load(folder.resolved)
        folders.refuse_changed(recipe, meta)
    except FbmonError as error:
        log(error.message, error.hint)
        if emitter:
            emitter.emit(RunEnded("failed", error.exit_code, emitter.step, error.message, error.hint))
        leave(error.exit_code)
    work = Assignment(
        recipe,
        start.rank,
        start.device,
        folders.as_path(meta.data_dir) if meta and meta.data_dir else None,
        folder.checkpoints,
        folder if is_first else None,
        emitter,
        lambda doing: heartbeat.write(start.rank.index, doing),
    )
    leave(carry_out(work))


def leave(code: int) -> NoReturn:
    """End this process, whatever of its output is lost on a full disk.

    Not through the interpreter's own exit: with the others gone, a process group may wait for them there for ever.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def carry_out(work: Assignment) -> int:
    """Do a rank's work, tell everything if it is the first, and return the exit code: that of all ranks."""
    emitter = work.emitter or SilentEmitter()
    try:
        commands = Commands(work.folder)
        _begin(work, emitter)
        commands.heed_signals()
        from fbmon.train.ranks.meet import Waiting
        from fbmon.train.ranks.process_group import (  # torch takes seconds to import; by now a screen says so
            join,
            leave_together,
        )

        waiting = Waiting(work.patience, lambda awaited: _tell_awaited(work, emitter, awaited), commands.heed_signals)
        ranks, device = join(work.rank, work.device, work.tell_doing, waiting)
    except Exception as error:
        return _conclude(work, emitter, _explain(error, emitter))
    code = _conclude(work, emitter, _train(work, emitter, commands, ranks, device))
    try:
        return leave_together(ranks, code)
    except RankLostError as error:
        log(error.message)
        return error.exit_code


def _begin(work: Assignment, emitter: "Emitter | SilentEmitter") -> None:
    if emitter.has_begun:
        emitter.emit(RunResumed(fbmon.__version__, os.getpid()))
    elif work.folder:
        name, recipe = work.folder.name, work.recipe
        meta = work.folder.read_meta()
        origin = str(meta.origin) if meta and meta.origin else ""
        emitter.emit(RunStarted(name, recipe.name, recipe.steps, fbmon.__version__, os.getpid(), origin))
    emitter.emit(PhaseEntered("loading torch"))


def _tell_awaited(work: Assignment, emitter: "Emitter | SilentEmitter", awaited: str) -> None:
    if work.emitter:
        emitter.emit(PhaseEntered("meeting the other ranks", awaited))
    else:
        log(f"rank {work.rank.index}: {awaited}")


def _train(
    work: Assignment, emitter: "Emitter | SilentEmitter", commands: Commands, ranks: "Ranks", device: str
) -> RunEnded:
    from fbmon.train.loop import train
    from fbmon.train.ranks.process_group import naming_the_lost

    # Also where the journal is lost: no run begins again beside its own states.
    is_begun = emitter.has_begun or (work.folder is not None and os.path.lexists(work.checkpoints))
    try:
        with naming_the_lost(ranks.rank):
            state = train(
                work.recipe,
                device,
                work.data_dir,
                work.checkpoints,
                emitter.emit,
                commands.next,
                ranks=ranks,
                resume=is_begun,
                origin=work.read_origin() if work.folder else b"",
                run=work.folder.first_name() if work.folder else "",
            )
    except Exception as error:
        return _explain(error, emitter)
    if state == "finished":
        return RunEnded(state, Exit.FINISHED, emitter.step)
    code = Exit.PREEMPTED if state == "preempted" else Exit.STOPPED
    saved = "; the state is saved" if steps(work.checkpoints) else ", before there was anything new to save"
    return RunEnded(state, code, emitter.step, f"by {emitter.source}{saved}")


def _explain(error: Exception, emitter: "Emitter | SilentEmitter") -> RunEnded:
    """Log the error with which a run ends, in trainer.log or what a job keeps of its ranks; return its last word."""
    match error:
        case Signalled(command=command):
            emitter.emit(command)
            code = exit_code(command.command)
            state: State = "preempted" if code == Exit.PREEMPTED else "stopped"
            return RunEnded(state, code, emitter.step, f"by {command.source}, before there was anything new to save")
        case RankLostError():
            log(error.message)
            return RunEnded("killed", error.exit_code, emitter.step, error.message, error.hint)
        case FbmonError():
            log(error.message, error.hint)
            state = "diverged" if error.exit_code == Exit.DIVERGED else "failed"
            return RunEnded(state, error.exit_code, emitter.step, error.message, error.hint)
        case _:
            log("".join(traceback.format_exception(error)))
            reason = " ".join(f"{type(error).__name__}: {error}".split())  # one line; the log has the rest
            return RunEnded("failed", Exit.FAILED, emitter.step, reason)


def _conclude(work: Assignment, emitter: "Emitter | SilentEmitter", ended: RunEnded) -> int:
    """Have the last word and the last deed; of lost ranks a supervisor knows better who is gone."""
    if work.rank.engine or ended.exit_code not in (Exit.LOST, Exit.STALLED):
        emitter.emit(ended)
    work.conclude()
    return ended.exit_code


class SilentEmitter:
    """Stand in for `Emitter` on ranks other than the first: emit nothing."""

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
    start_thread(_leave_at_end_of_pipe)


def _leave_at_end_of_pipe() -> None:
    os.read(0, 1)  # returns when the supervisor is gone; sys.stdin would be locked at the interpreter's own exit
    os._exit(Exit.LOST)


if __name__ == "__main__":
    main()
