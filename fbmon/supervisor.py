"""The background process of a run: its own session; starts the trainer, samples telemetry, has the last word."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from fbmon import summary
from fbmon.errors import Exit
from fbmon.events import Event, RunEnded, State
from fbmon.folder import SIGNALS, RunFolder
from fbmon.journal import Journal, last_event
from fbmon.telemetry import Sampler

_SAMPLE_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="fbmon.supervisor")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queue", type=int, default=None, help="descriptor of the pipe to the screen")
    arguments = parser.parse_args()
    os.umask(0o077)
    sys.exit(supervise(RunFolder(arguments.folder), arguments.queue))


def supervise(folder: RunFolder, queue: int | None) -> int:
    """Run the trainer of `folder` to its end and return its exit code; the caller already holds the lock."""
    meta = folder.read_meta()
    devices = meta.devices if meta else "auto"
    environment = _environment()
    trainer = _start_trainer(folder, queue, environment)
    hurried = _forward_signals(trainer)
    _watch(trainer, folder, Sampler(devices, environment))
    ended = _ended(folder, trainer.returncode, hurried=bool(hurried))
    summary.write(folder)  # so that no table ever has to read the whole journal
    return ended.exit_code


def _ended(folder: RunFolder, code: int, *, hurried: bool) -> RunEnded:
    """The last word: the trainer's own if it had one, else the supervisor's, which is written down here."""
    last = last_event(folder.journal)
    if isinstance(last, RunEnded):
        return last
    journal = Journal(folder.journal)
    ended = _last_word(code, last, hurried=hurried)
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


def _start_trainer(folder: RunFolder, queue: int | None, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    # The trainer's standard input is its lifeline: when the supervisor dies, however it dies, the kernel closes the
    # pipe, and the trainer sees the end of the file and leaves.
    command = [sys.executable, "-m", "fbmon.worker", str(folder.path)]
    if queue is None:
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    trainer = subprocess.Popen(
        [*command, "--queue", str(queue)], stdin=subprocess.PIPE, env=environment, pass_fds=(queue,)
    )
    os.close(queue)  # the screen's end of the file is the trainer's death
    return trainer


def _forward_signals(trainer: "subprocess.Popen[bytes]") -> list[int]:
    """Pass signals on; a second SIGINT ends the trainer at once and is noted in the list returned."""
    hurried: list[int] = []
    interrupts: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            interrupts.append(number)
        if len(interrupts) > 1:
            hurried.append(number)
            trainer.kill()
        else:
            trainer.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, forward)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return hurried


def _watch(trainer: "subprocess.Popen[bytes]", folder: RunFolder, sampler: Sampler) -> None:
    telemetry = Journal(folder.telemetry)
    began = time.monotonic()
    samples = 0
    while trainer.poll() is None:
        for sampled in sampler.sample():
            telemetry.append(sampled)
        samples += 1
        pause = began + samples * _SAMPLE_SECONDS - time.monotonic()
        try:
            trainer.wait(timeout=max(0.01, pause))
        except subprocess.TimeoutExpired:
            continue
    telemetry.close()


def _last_word(code: int, last: Event | None, *, hurried: bool) -> RunEnded:
    step = getattr(last, "step", 0)
    state: State = "killed"
    if hurried:
        return RunEnded("stopped", Exit.STOPPED, step, "at once, by a second Ctrl-C; nothing was saved")
    if code < 0:
        name = signal.Signals(-code).name
        hint = "often this is the system running out of memory" if -code == signal.SIGKILL else ""
        return RunEnded(state, Exit.LOST, step, f"the trainer was killed by {name}", hint)
    return RunEnded("failed", Exit.LOST, step, f"the trainer left with exit code {code} and no word")


if __name__ == "__main__":
    main()
