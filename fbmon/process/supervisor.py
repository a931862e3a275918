"""The background process of a run: its own session; starts the ranks, watches over them, has the last word."""

import argparse
import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from fbmon import recipe as recipes
from fbmon.errors import Exit, FbmonError, of_system
from fbmon.events import Event, RunEnded, RunRestarted, State
from fbmon.host.disk import log
from fbmon.process.forward_signals import Signals
from fbmon.process.rank_processes import RankProcesses
from fbmon.process.recorder import guarded, recorded
from fbmon.ranks import devices as device_names
from fbmon.ranks.exit_reason import ExitReason
from fbmon.run import RunFolder
from fbmon.run.journal import Journal, last_event, last_step
from fbmon.store import summary
from fbmon.text import plural

_LOOK_SECONDS = 0.1
_LAST_WORD_SECONDS = 60.0  # for which a full disk is tried
_STATES: dict[Exit, State] = {
    Exit.FINISHED: "finished",
    Exit.DIVERGED: "diverged",
    Exit.PREEMPTED: "preempted",
    Exit.STOPPED: "stopped",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="fbmon.process.supervisor")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queue", type=int, default=None, help="descriptor of the pipe to the screen")
    arguments = parser.parse_args()
    os.umask(0o077)
    folder = RunFolder(arguments.folder)
    try:
        with guarded(folder):
            code = supervise(folder, arguments.queue)
    except Exception as error:  # as no thread is to be had
        code = _fail(folder, error).exit_code
    sys.exit(code)


def supervise(folder: RunFolder, queue: int | None) -> int:
    """Run the ranks of `folder` to their end and return the exit code; the caller already holds the lock."""
    meta = folder.read_meta()
    names = device_names.expand(meta.devices if meta else "auto", os.environ)
    environment = device_names.prepare(_environment(), names, folder.path)
    before = last_event(folder.journal)  # the last word of an earlier start is not that of this one
    ranks, restarts = None, 0
    try:
        ranks = RankProcesses(folder.path, names, environment, meta.stall_seconds if meta else None)
        signals = Signals(ranks)
        with recorded(folder, names, environment):
            _run(ranks, queue, signals)
            while not _told(folder, before) and not signals.taken and _may_restart(ranks.account(), folder, restarts):
                restarts += 1
                _run(ranks, None, signals)
        ranks.close()
        ended = _told(folder, before) or _last_word(ranks, folder, restarts, hurried=signals.hurried)
    except Exception as error:  # as no process is to be had, or none of its pipes
        if ranks:
            ranks.kill()
        ended = _fail(folder, error)
    summary.write(folder)  # so that no table ever has to read the whole journal
    return ended.exit_code


def _fail(folder: RunFolder, error: Exception) -> RunEnded:
    """Tell that the training cannot be started, or not watched over."""
    log("".join(traceback.format_exception(error)))
    match error:
        case FbmonError():
            failure = error
        case OSError():
            failure = of_system(error, "starting the trainer")
        case _:
            failure = FbmonError(" ".join(f"{type(error).__name__}: {error}".split()))  # one line; the log has the rest
    ended = RunEnded("failed", failure.exit_code, last_step(folder.journal), failure.message, failure.hint)
    _tell(folder, ended)
    return ended


def _run(ranks: RankProcesses, queue: int | None, signals: Signals) -> None:
    """One start of all ranks, and all that comes of it."""
    ranks.start(queue)
    with signals.heard():
        while ranks.is_there(time.monotonic()):
            time.sleep(_LOOK_SECONDS)


def _told(folder: RunFolder, before: Event | None) -> RunEnded | None:
    """The trainer's own last word, if it had one."""
    last = last_event(folder.journal)
    return last if isinstance(last, RunEnded) and last != before else None


def _may_restart(reason: ExitReason, folder: RunFolder, restarts: int) -> bool:
    """Say whether the ranks are to be started once more, as the recipe allows for accidents, and tell it."""
    at_most = _allowed_restarts(folder)
    if not reason.is_accident or restarts >= at_most:
        return False
    _tell(folder, RunRestarted(last_step(folder.journal), reason.reason, restarts + 1, at_most))
    return True


def _allowed_restarts(folder: RunFolder) -> int:
    try:
        return recipes.load(folder.resolved).restart.at_most
    except FbmonError:  # of a recipe that cannot be read no rank gets far
        return 0


def _last_word(ranks: RankProcesses, folder: RunFolder, restarts: int, *, hurried: bool) -> RunEnded:
    """The supervisor's, where the trainer has had none."""
    step = last_step(folder.journal)
    if hurried:
        ended = RunEnded("stopped", Exit.STOPPED, step, "at once, by a second Ctrl-C; nothing was saved")
    else:
        reason = ranks.account()
        after = f", after {plural(restarts, 'restart')}" if restarts else ""
        ended = RunEnded(
            "killed" if reason.was_killed else _STATES.get(reason.exit_code, "failed"),
            reason.exit_code,
            step,
            reason.reason + after,
            reason.hint,
        )
    _tell(folder, ended)
    return ended


def _tell(folder: RunFolder, event: Event) -> None:
    """Write to the journal, now that no rank does."""
    with suppress(OSError):  # the exit code says how the run has ended, also where the journal cannot be opened
        journal = Journal(folder.journal, folder.telemetry)
        if isinstance(event, RunEnded):
            journal.append_last(event, _LAST_WORD_SECONDS)
        else:
            journal.append(event)
        journal.close()


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # How long a thread of libgomp spins before it sleeps. Its own choice is as fast on a quiet machine (12 and 13 s for
    # 30 steps of quickstart), but two runs on two cores then starve each other (57 s for 15 steps; with this, 36 s).
    environment.setdefault("GOMP_SPINCOUNT", "10000")
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # a message may name a file whose name is not UTF-8
    return environment


if __name__ == "__main__":
    main()
