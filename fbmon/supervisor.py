"""The background process of a run: its own session; starts the ranks, samples telemetry, has the last word."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from fbmon import summary
from fbmon.crew import devices as device_names
from fbmon.crew.processes import Crew
from fbmon.errors import Exit
from fbmon.events import Event, RunEnded
from fbmon.folder import SIGNALS, RunFolder
from fbmon.journal import Journal, last_event
from fbmon.telemetry import Sampler

_SAMPLE_SECONDS = 1.0
_LOOK_SECONDS = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(prog="fbmon.supervisor")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queue", type=int, default=None, help="descriptor of the pipe to the screen")
    arguments = parser.parse_args()
    os.umask(0o077)
    sys.exit(supervise(RunFolder(arguments.folder), arguments.queue))


def supervise(folder: RunFolder, queue: int | None) -> int:
    """Run the ranks of `folder` to their end and return the exit code; the caller already holds the lock."""
    meta = folder.read_meta()
    names = device_names.expand(meta.devices if meta else "auto", os.environ)
    environment = device_names.prepare(_environment(), names)
    before = last_event(folder.journal)  # the last word of an earlier attempt is not that of this one
    crew = Crew(folder.path, names, queue, environment, meta.stall_seconds if meta else None)
    hurried = _forward_signals(crew)
    _watch(crew, folder, Sampler(",".join(dict.fromkeys(names)), environment))
    crew.close()
    ended = _ended(folder, crew, before, hurried=bool(hurried))
    summary.write(folder)  # so that no table ever has to read the whole journal
    return ended.exit_code


def _ended(folder: RunFolder, crew: Crew, before: Event | None, *, hurried: bool) -> RunEnded:
    """The last word: the trainer's own if it had one, else the supervisor's, which is written down here."""
    last = last_event(folder.journal)
    if isinstance(last, RunEnded) and last != before:
        return last
    journal = Journal(folder.journal)
    ended = _last_word(crew, last, hurried=hurried)
    journal.append(ended)
    journal.close()
    return ended


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # CUDA counts fastest first, the driver in PCI order: one order, so that telemetry looks at the GPU that trains.
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products
    # How long a thread of libgomp spins before it sleeps. Its own choice is as fast on a quiet machine (12 and 13 s for
    # 30 steps of quickstart), but two runs on two cores then starve each other (57 s for 15 steps; with this, 36 s).
    environment.setdefault("GOMP_SPINCOUNT", "10000")
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # a message may name a file whose name is not UTF-8
    return environment


def _forward_signals(crew: Crew) -> list[int]:
    """Pass signals on to rank 0; a second SIGINT ends all ranks at once and is noted in the list returned."""
    hurried: list[int] = []
    interrupts: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            interrupts.append(number)
        if len(interrupts) > 1:
            hurried.append(number)
            crew.kill()
        else:
            crew.first.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, forward)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return hurried


def _watch(crew: Crew, folder: RunFolder, sampler: Sampler) -> None:
    telemetry = Journal(folder.telemetry)
    due = time.monotonic()
    while crew.is_there(now := time.monotonic()):
        if now >= due:
            due += _SAMPLE_SECONDS
            for sampled in sampler.sample():
                telemetry.append(sampled)
        time.sleep(_LOOK_SECONDS)
    telemetry.close()


def _last_word(crew: Crew, last: Event | None, *, hurried: bool) -> RunEnded:
    step = getattr(last, "step", 0)
    if hurried:
        return RunEnded("stopped", Exit.STOPPED, step, "at once, by a second Ctrl-C; nothing was saved")
    loss = crew.account()
    return RunEnded("killed" if loss.was_killed else "failed", loss.exit_code, step, loss.reason, loss.hint)


if __name__ == "__main__":
    main()
