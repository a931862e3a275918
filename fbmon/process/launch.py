"""Starts the background trainer and attaches to running ones; both give a RunHandle: poll, alive, ask."""

import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import msgspec

from fbmon.errors import Exit
from fbmon.events import Command, Event, ProgressMade
from fbmon.host.disk import naming
from fbmon.host.signals import signals_held
from fbmon.run import SILENCE_SECONDS, Life, Look, RunFolder, unmade_on_failure
from fbmon.run.journal import Tail, unseal

_JOURNAL_SECONDS = 0.5  # how often the journal is read although the queue says nothing
_EXIT_SECONDS = 5.0  # in which a supervisor is gone that has no lock any more
_SIGN_SECONDS = 1.0  # how often a process of another host gives a sign of life
_BATCH_BYTES = 1 << 16  # of a file at a time: some 100 to 200 steps, folded in 2 ms, so that no key waits longer


class RunHandle:
    """A screen's view of a run: its events, each once and in order, whether they come by queue or by journal."""

    def __init__(
        self, folder: RunFolder, supervisor: "subprocess.Popen[bytes] | None" = None, queue: int | None = None
    ) -> None:
        self.folder = folder
        self._supervisor = supervisor
        self._queue = queue
        self._unfinished = b""
        self._journal = Tail(folder.journal)
        self._telemetry = Tail(folder.telemetry)
        self._journal_due = 0.0
        self._progress_stamp = 0
        self._begun = False
        self._seen = Look(Life.RUNNING)
        self._look_due = 0.0
        self._seq = 0  # of the last event taken
        self._events: deque[Event] = deque()  # read, and not yet handed out
        self._samples: deque[Event] = deque()

    def look(self) -> Look:
        """Say whether the run still has its supervisor, and how that is known."""
        # Asking for its exit status collects it, so that no zombie stays.
        if self._supervisor is not None and self._supervisor.poll() is None:
            return Look(Life.RUNNING)
        now = time.monotonic()
        if self._seen.is_sure or now >= self._look_due:  # to look for signs of life takes several files
            self._seen, self._look_due = self.folder.look(), now + _SIGN_SECONDS
        return self._seen

    @property
    def alive(self) -> bool:
        """Say whether the run still has its supervisor; no where nobody can tell."""
        return self.look().life is Life.RUNNING

    def exit_code(self) -> int:
        """Return the exit code of a run that could not write down its last word; LOST where it is not known either."""
        code = None
        if self._supervisor is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._supervisor.wait(_EXIT_SECONDS)
        return Exit.LOST if code is None or code < 0 else code

    def ask(self, command: Command, source: str) -> None:
        """Lay a command into the run's inbox."""
        self.folder.put(command, source)

    def send_signal(self, number: signal.Signals) -> None:
        """Pass a signal to the supervisor; only for the process that started it."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(number)

    @property
    def unread(self) -> float:
        """The share of the journal that is yet to be handed out: 0 as soon as the run is shown as it is now."""
        unread = self._journal.unread
        return unread / (unread + self._journal.offset) if unread else 0.0

    def follow(self, interval: float = 0.1) -> Iterator[list[Event]]:
        """Batches of events, possibly empty, about every `interval` seconds until the run is gone and all is told.

        What lies on the disk already comes at once, in batches of bounded size.
        """
        heard = time.monotonic()
        while True:
            seen = self.look()  # asked before reading, so that what it wrote last is still read
            alive = seen.life is Life.RUNNING
            if seen.life is Life.UNKNOWN and seen.silent is None:  # a folder that is read-only: only news tell
                alive = time.monotonic() - heard < SILENCE_SECONDS
            events = self.poll(interval if alive else 0.0)
            heard = time.monotonic() if events else heard
            yield events
            if not (alive or events or self._is_behind()):
                return

    def poll(self, timeout: float) -> list[Event]:
        """The next events, in order; where there are none yet, waits up to `timeout` seconds for the first."""
        self._hear(self._wait(0.0 if self._is_behind() else timeout))
        if not self._samples:
            self._samples.extend(self._telemetry.read(_BATCH_BYTES))
        return [*self._in_order(), *self._read_progress()]

    def _is_behind(self) -> bool:
        return not self._begun or bool(self._events or self._samples or self._journal.unread or self._telemetry.unread)

    def _hear(self, lines: list[bytes]) -> None:
        now = time.monotonic()
        missing = self._take(unseal(line) for line in lines) < len(lines)
        due = missing or self._queue is None or self._journal.unread > 0 or now >= self._journal_due
        if due and not self._events:
            self._journal_due = now + _JOURNAL_SECONDS
            self._take(iter(self._journal.read(_BATCH_BYTES)), gaps=True)
        self._begun = True

    def _take(self, events: Iterator[Event | None], *, gaps: bool = False) -> int:
        """Keep those that come next; with `gaps`, also those behind lines that the journal lost. How many they are."""
        before = len(self._events)
        for event in events:
            if event is not None and (event.seq == self._seq + 1 or (gaps and event.seq > self._seq)):
                self._seq = event.seq
                self._events.append(event)
        return len(self._events) - before

    def _in_order(self) -> Iterator[Event]:
        """Events and samples as they happened; stops where what comes next has not been read yet."""
        while (self._events or not self._journal.unread) and (self._samples or not self._telemetry.unread):
            if self._samples and (not self._events or self._samples[0].elapsed < self._events[0].elapsed):
                yield self._samples.popleft()
            elif self._events:
                yield self._events.popleft()
            else:
                return

    def _wait(self, timeout: float) -> list[bytes]:
        if self._queue is None:
            time.sleep(timeout)
            return []
        ready, _, _ = select.select([self._queue], [], [], timeout)
        if not ready:
            return []
        received = os.read(self._queue, 1 << 20)
        if not received:  # the trainer is gone
            os.close(self._queue)
            self._queue = None
        *lines, self._unfinished = (self._unfinished + received).split(b"\n")
        return [line for line in lines if line]

    def _read_progress(self) -> list[Event]:
        with suppress(OSError, msgspec.MsgspecError):
            stamp = self.folder.progress.stat().st_mtime_ns
            if stamp != self._progress_stamp:
                self._progress_stamp = stamp
                return [msgspec.json.decode(self.folder.progress.read_bytes(), type=ProgressMade)]
        return []


def start(folder: RunFolder, *, queue: bool = True, devices: str | None = None, force: bool = False) -> RunHandle:
    """Start the supervisor of a run in a session of its own, so that it outlives this process and its terminal.

    A run that has ended, or was killed, goes on from its newest checkpoint, on other `devices` where they are given.
    Raises UsageError if it is running, and without `force` also where that cannot be told. A new folder whose run
    cannot be started is taken away.
    """
    with unmade_on_failure(folder), ExitStack() as opened:
        lock = folder.seize(force=force)
        opened.callback(os.close, lock)
        if devices is not None:
            folder.set_devices(devices)
        with naming("starting the trainer"):
            return _start(folder, lock, opened, queue=queue)


def _start(folder: RunFolder, lock: int, opened: ExitStack, *, queue: bool) -> RunHandle:
    """Start it; what is `opened` here is closed at the end, also when it fails."""
    command, receiving = [sys.executable, "-m", "fbmon.process.supervisor", str(folder.path)], None
    inherited = [lock]  # it has the lock from the first moment, so that this is never free
    if queue:
        receiving, sending = os.pipe()
        opened.callback(os.close, sending)
        command += ["--queue", str(sending)]
        inherited.append(sending)
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    opened.callback(os.close, log)
    with signals_held():  # inherited; the supervisor lifts it
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=inherited,
        )
    with suppress(OSError):  # it leaves the same note itself, but later than this command may end
        folder.note(supervisor.pid)
    return RunHandle(folder, supervisor, receiving)


def attach(folder: RunFolder) -> RunHandle:
    """Return a handle on a run that someone else started, running or ended."""
    return RunHandle(folder)
