"""The record kept beside a training: a sign of life and telemetry once a second, the summary once a minute."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from fbmon.errors import Exit
from fbmon.host.disk import log
from fbmon.host.threads import start_thread
from fbmon.process.telemetry import Sampler
from fbmon.run import Guard, RunFolder
from fbmon.run.journal import Journal
from fbmon.store import summary
from fbmon.text import clean

_SAMPLE_SECONDS = 1.0
_KEEP_EVERY = 60  # samples
_PATIENCE = 5.0  # seconds, for what is being written when the training ends


def _leave() -> None:
    os._exit(Exit.LOST)  # and the other processes of the training with it


@contextmanager
def guarded(folder: RunFolder, leave: Callable[[], None] = _leave) -> Iterator[None]:
    """Be the process that trains here: it shows that it lives, and nobody else comes in.

    `leave` is called where somebody else has taken the run over all the same.
    """
    guard = Guard(folder)
    try:
        with _beside(lambda over: _guard(guard, over, leave)):
            yield
    finally:
        guard.end()


@contextmanager
def recorded(folder: RunFolder, devices: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Sample the devices of a run."""
    with _beside(lambda over: _record(folder, devices, environment, over)):
        yield


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Let a thread work beside these lines: a disk that does not answer holds up nobody."""
    over = threading.Event()
    thread = start_thread(lambda: work(over))
    try:
        yield
    finally:
        over.set()
        thread.join(_PATIENCE)


def _guard(guard: Guard, over: threading.Event, leave: Callable[[], None]) -> None:
    """Give signs of life; leave where the run has been given to somebody else, as to one who used `--force`."""
    while not over.wait(_SAMPLE_SECONDS):
        usurper = guard.sign()
        if usurper:
            log(f"another process is training this run now: {usurper}; this one is leaving")
            leave()
            return


def _record(folder: RunFolder, devices: Sequence[str], environment: Mapping[str, str], over: threading.Event) -> None:
    try:
        telemetry = Journal(folder.telemetry, folder.journal)
    except OSError as error:
        log(f"no telemetry: {clean(str(error), 4096)}")
        return
    sampler = Sampler(devices, environment)
    for count in itertools.count(1):
        for sampled in sampler.sample():
            telemetry.append(sampled)
        if count % _KEEP_EVERY == 0:
            summary.read(folder)  # and so kept: of a run that is killed only the last minute is left to read
        if over.wait(_SAMPLE_SECONDS):
            break
    telemetry.close()
