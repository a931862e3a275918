"""The processes of a training, one a rank: started, watched and ended together."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fbmon.errors import Exit
from fbmon.process.stall import StallWatch
from fbmon.ranks.exit_reason import ORDINARY, ExitReason, explain, obstacle
from fbmon.ranks.heartbeat import Doing, make_heartbeat
from fbmon.ranks.meeting import Meeting
from fbmon.ranks.start import Start

_GRACE_SECONDS = 2.0  # for the others to notice by themselves, and for rank 0 to say why


class RankProcesses:
    """One process for each of `devices`, started by the main thread: Linux ends them with the thread they come from."""

    def __init__(
        self, folder: Path, devices: list[str], environment: Mapping[str, str], stall_seconds: float | None
    ) -> None:
        self._folder = folder
        self._devices = devices
        self._environment = environment
        self._stall_seconds = stall_seconds
        self._heartbeat = make_heartbeat(len(devices))
        self._ranks: list[subprocess.Popen[bytes]] = []

    def start(self, queue: int | None = None) -> None:
        """Start all ranks, once more if they have been there before; `queue` is the pipe from rank 0 to the screen."""
        self._stalled: ExitReason | None = None
        self._first_gone: int | None = None
        self._deadline: float | None = None
        self._stall = StallWatch(self._stall_seconds)
        self._heartbeat.clear()
        self._meeting = Meeting(self._folder, len(self._devices))
        self._ranks.clear()
        for rank in range(len(self._devices)):
            self._ranks.append(self._start(rank, queue if rank == 0 else None))
        self._meeting.begun()
        if queue is not None:
            os.close(queue)  # the screen's end of the file is the trainer's death

    @property
    def first(self) -> "subprocess.Popen[bytes]":
        """Rank 0, which is the one to be spoken to."""
        return self._ranks[0]

    def is_there(self, now: float) -> bool:
        """Say whether a rank is left; ranks that cannot go on are ended."""
        codes = [rank.poll() for rank in self._ranks]
        self._look_for_the_first_to_go(codes)
        if all(code is not None for code in codes):
            return False
        slots = self._heartbeat.read()
        stuck = self._stall.look(now, slots)
        if stuck and self._deadline is None:
            self._stalled = self._tell_stall(stuck, now)
            self._deadline = now
        is_saving = codes[0] is None and slots[0][1] == Doing.AWAY  # which needs no other rank, and may take minutes
        if self._deadline is None and (self._first_gone is not None or codes[0] is not None) and not is_saving:
            self._deadline = now + _GRACE_SECONDS
        if self._deadline is not None and now >= self._deadline:
            self.kill()
        return True

    def account(self) -> ExitReason:
        """Return what is known of ranks that are all gone although none has said why."""
        if self._stalled:
            return self._stalled
        rank = self._first_gone or 0
        return explain(self._name(rank), self._ranks[rank].returncode)

    def kill(self) -> None:
        """End all ranks at once; that works on a stopped one too."""
        for rank in self._ranks:
            rank.kill()

    def close(self) -> None:
        """Take away where they met."""
        self._meeting.close()

    def _start(self, rank: int, queue: int | None) -> "subprocess.Popen[bytes]":
        # A trainer's standard input is its lifeline: when the supervisor dies, however it dies, the kernel closes the
        # pipe, and the trainer sees the end of the file and leaves.
        start = Start(self._meeting.rank(rank), self._devices[rank], self._heartbeat.descriptor, queue)
        inherited = (start.heartbeat, start.queue, start.rank.listener)
        return subprocess.Popen(
            [sys.executable, "-m", "fbmon.process.worker", str(self._folder), msgspec.json.encode(start).decode()],
            stdin=subprocess.PIPE,
            env=dict(self._environment),
            pass_fds=[descriptor for descriptor in inherited if descriptor is not None],
        )

    def _look_for_the_first_to_go(self, codes: list[int | None]) -> None:
        gone = [rank for rank, code in enumerate(codes) if code is not None and code not in ORDINARY]
        if gone and self._first_gone is None and self._deadline is None:
            # Who leaves with LOST or STALLED has only noticed that another one is gone.
            guilty = [rank for rank in gone if codes[rank] not in (Exit.LOST, Exit.STALLED)]
            self._first_gone = (guilty or gone)[0]

    def _tell_stall(self, stuck: list[int], now: float) -> ExitReason:
        states = {rank: obstacle(self._ranks[rank].pid) for rank in range(len(self._ranks))}
        stopped = [rank for rank, state in states.items() if state]  # what the kernel says is sure
        names = " and ".join(
            self._name(rank) + (f", {states[rank]}," if states[rank] else "") for rank in stopped or stuck
        )
        return ExitReason(
            f"{names} stopped responding: no block has ended for {self._stall.silent_for(now):.0f} s",
            Exit.STALLED,
            "`fbmon resume` continues from the last checkpoint; `--stall-limit` allows a longer silence",
        )

    def _name(self, rank: int) -> str:
        return "the trainer" if len(self._ranks) == 1 else f"rank {rank} ({self._devices[rank]})"
