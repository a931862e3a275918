"""Processes that answer probes, one for each device, each with its share; answers are kept as they come."""

import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import msgspec

from fbmon.analysis.asked import Answer, Probe, Task
from fbmon.analysis.record import Record
from fbmon.errors import FbmonError
from fbmon.host.scratch import nameless_file
from fbmon.host.threads import start_thread
from fbmon.ranks.devices import expand, here, prepare
from fbmon.run import written
from fbmon.text import clean

_MODULE = "fbmon.analysis.worker.worker"


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A line from a process: the number of the task, and an answer to one of its probes."""

    task: int
    answer: Answer


def survey(asked: Sequence[tuple[Record, Sequence[Probe]]], devices: str, on_answer: Callable[[], None]) -> None:
    """Answer all open probes and append the answers to their records; call `on_answer` after each.

    Raises FbmonError if a process fails; what was answered until then, or until a Ctrl-C, is kept.
    """
    open_tasks = [(record, missing(record, probes)) for record, probes in asked]
    if not any(probes for _, probes in open_tasks):
        return
    names = expand(here(devices, os.environ), os.environ)
    shares = [_share(open_tasks, index, len(names)) for index in range(len(names))]
    with _processes([(name, tasks) for name, tasks in zip(names, shares, strict=True) if tasks], names) as said:
        for line in said:
            open_tasks[line.task][0].append(line.answer)
            on_answer()


def missing(record: Record, probes: Sequence[Probe]) -> list[Probe]:
    """Return the probes without an answer, each once."""
    answers = record.read()
    return [probe for probe in dict.fromkeys(probes) if probe not in answers]


def _share(tasks: Sequence[tuple[Record, list[Probe]]], index: int, of: int) -> list[Task]:
    """Return every `of`-th probe of each task, beginning with number `index`; a task keeps its number."""
    shares = [(record, probes[index::of]) for record, probes in tasks]
    if not any(probes for _, probes in shares):
        return []
    return [Task(written(record.folder.path), record.setting, tuple(probes)) for record, probes in shares]


@contextmanager
def _processes(work: Sequence[tuple[str, list[Task]]], devices: list[str]) -> Iterator[Iterator[Said]]:
    """Start one process for each device and yield their answers as they come. None of them outlives the block."""
    environment = prepare(os.environ, devices)
    with nameless_file() as log:
        running = [_start(device, tasks, environment, log.fileno()) for device, tasks in work]
        try:
            yield _listen(running, log.fileno())
        finally:
            for process in running:
                process.kill()
                process.wait()


def _start(device: str, tasks: list[Task], environment: dict[str, str], log: int) -> "subprocess.Popen[bytes]":
    with nameless_file() as asked:  # a pipe would block this process until the other has loaded torch
        asked.write(msgspec.json.encode(tasks))
        asked.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, device],
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,  # a Ctrl-C is for the process that waits for it
        )


def _listen(running: Sequence["subprocess.Popen[bytes]"], log: int) -> Iterator[Said]:
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read(process: "subprocess.Popen[bytes]") -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    for process in running:
        start_thread(partial(read, process))
    left = len(running)
    while left:
        line = lines.get()
        if line is None:
            left -= 1
        else:
            yield msgspec.json.decode(line, type=Said)
    if any(process.wait() for process in running):
        said = os.pread(log, 1 << 20, 0).decode(errors="replace").strip().splitlines()
        raise FbmonError(clean(said[-1], 400) if said else "a process of the analysis was killed")
