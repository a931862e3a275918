"""The processes of a training, one a rank: started, watched and ended together."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import msgspec
import psutil

from fbmon.crew import beats
from fbmon.crew.stall import StallWatch
from fbmon.crew.start import Start
from fbmon.errors import Exit

# How a rank leaves that has done all it was to do; with any other the others wait for it in vain.
_ORDINARY = (Exit.FINISHED, Exit.DIVERGED, Exit.STORAGE, Exit.PREEMPTED, Exit.STOPPED)
_GRACE_SECONDS = 2.0  # for the others to notice by themselves, and for rank 0 to say why
_MEETING = ".meeting-"


@dataclass(frozen=True)
class Loss:
    """Why a crew came to an end that no rank has told of."""

    reason: str
    exit_code: Exit
    hint: str = ""
    was_killed: bool = True


class Crew:
    """One process for each of `devices`, started by the main thread: Linux ends them with the thread they come from."""

    def __init__(
        self,
        folder: Path,
        devices: list[str],
        queue: int | None,
        environment: Mapping[str, str],
        stall_seconds: float | None,
    ) -> None:
        self._stalled: Loss | None = None
        self._first_gone: int | None = None
        self._devices = devices
        self._environment = environment
        self._deadline: float | None = None
        self._stall = StallWatch(stall_seconds)
        self._beats = beats.make(len(devices))
        for leftover in folder.glob(f"{_MEETING}*"):
            leftover.unlink()
        self._meeting = folder / f"{_MEETING}{token_hex(8)}"
        self._ranks = [self._start(folder, rank, queue if rank == 0 else None) for rank in range(len(devices))]
        if queue is not None:
            os.close(queue)  # the screen's end of the file is the trainer's death

    @property
    def first(self) -> "subprocess.Popen[bytes]":
        """Rank 0, which is the one to be spoken to."""
        return self._ranks[0]

    def is_there(self, now: float) -> bool:
        """Whether a rank is left; a crew that cannot go on is ended."""
        codes = [rank.poll() for rank in self._ranks]
        self._look_for_the_first_to_go(codes)
        if all(code is not None for code in codes):
            return False
        stuck = self._stall.look(now, self._beats.read())
        if stuck and self._deadline is None:
            self._stalled = self._tell_stall(stuck, now)
            self._deadline = now
        if self._deadline is None and (self._first_gone is not None or codes[0] is not None):
            self._deadline = now + _GRACE_SECONDS
        if self._deadline is not None and now >= self._deadline:
            self.kill()
        return True

    def account(self) -> Loss:
        """Of ranks that are all gone although none has said why: what is known."""
        if self._stalled:
            return self._stalled
        rank = self._first_gone or 0
        return _explain(self._name(rank), self._ranks[rank].returncode)

    def kill(self) -> None:
        """End all ranks at once; that works on a stopped one too."""
        for rank in self._ranks:
            rank.kill()

    def close(self) -> None:
        """Take away where they met."""
        self._meeting.unlink(missing_ok=True)

    def _start(self, folder: Path, rank: int, queue: int | None) -> "subprocess.Popen[bytes]":
        # A trainer's standard input is its lifeline: when the supervisor dies, however it dies, the kernel closes the
        # pipe, and the trainer sees the end of the file and leaves.
        start = Start(
            self._devices[rank],
            rank,
            len(self._devices),
            self._beats.descriptor,
            self._meeting.name,
            queue,
        )
        return subprocess.Popen(
            [sys.executable, "-m", "fbmon.worker", str(folder), msgspec.json.encode(start).decode()],
            stdin=subprocess.PIPE,
            env=dict(self._environment),
            pass_fds=[self._beats.descriptor] + ([queue] if queue is not None else []),
        )

    def _look_for_the_first_to_go(self, codes: list[int | None]) -> None:
        gone = [rank for rank, code in enumerate(codes) if code is not None and code not in _ORDINARY]
        if gone and self._first_gone is None and self._deadline is None:
            # Who leaves with LOST or STALLED has only noticed that another one is gone.
            guilty = [rank for rank in gone if codes[rank] not in (Exit.LOST, Exit.STALLED)]
            self._first_gone = (guilty or gone)[0]

    def _tell_stall(self, stuck: list[int], now: float) -> Loss:
        states = {rank: _state(self._ranks[rank].pid) for rank in range(len(self._ranks))}
        stopped = [rank for rank, state in states.items() if state]  # what the kernel says is sure
        names = " and ".join(
            self._name(rank) + (f", {states[rank]}," if states[rank] else "") for rank in stopped or stuck
        )
        return Loss(
            f"{names} did not answer any more: no block has ended for {self._stall.silent_for(now):.0f} s",
            Exit.STALLED,
            "`fbmon resume` goes on from the last checkpoint; `--stall-limit` allows for more",
        )

    def _name(self, rank: int) -> str:
        return "the trainer" if len(self._ranks) == 1 else f"rank {rank} ({self._devices[rank]})"


def _explain(name: str, code: int) -> Loss:
    if code < 0:
        hint = "often this is the system running out of memory" if -code == signal.SIGKILL else ""
        return Loss(f"{name} was killed by {signal.Signals(-code).name}", Exit.LOST, hint)
    return Loss(f"{name} left with exit code {code}; the log may say why", Exit.LOST, was_killed=False)


def _state(process: int) -> str:
    """What keeps a process from running, as the kernel has it; empty if nothing does."""
    with suppress(psutil.Error):
        state = psutil.Process(process).status()
        if state in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            return "stopped by a signal"
        if state == psutil.STATUS_DISK_SLEEP:
            return "stuck in the system"
    return ""
