"""Processes that answer probes, one for each device, each with its share; answers are kept as they come."""

import os
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import msgspec

from fbmon.analysis.asked import Answer, Probe, Task
from fbmon.analysis.record import Record
from fbmon.errors import FbmonError
from fbmon.host.threads import start_thread
from fbmon.host.worker_process import WorkerProcess
from fbmon.ranks.devices import expand, here, prepare
from fbmon.run import written

_MODULE = "fbmon.analysis.worker.answer"


class NumberedAnswer(msgspec.Struct, frozen=True, array_like=True):
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
    with _processes([(name, tasks) for name, tasks in zip(names, shares, strict=True) if tasks], names) as answers:
        for line in answers:
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
def _processes(work: Sequence[tuple[str, list[Task]]], devices: list[str]) -> Iterator[Iterator[NumberedAnswer]]:
    """Start one process for each device and yield their answers as they come. None of them outlives the block."""
    environment = prepare(os.environ, devices)
    with ExitStack() as running:
        yield _listen(
            [
                running.enter_context(
                    WorkerProcess(_MODULE, device, environment=environment, question=msgspec.json.encode(tasks))
                )
                for device, tasks in work
            ]
        )


def _listen(processes: Sequence[WorkerProcess]) -> Iterator[NumberedAnswer]:
    lines: queue.SimpleQueue[bytes | FbmonError | None] = queue.SimpleQueue()

    def read(process: WorkerProcess) -> None:
        try:
            for line in process.lines():
                lines.put(line)
            lines.put(None)
        except FbmonError as error:
            lines.put(error)

    for process in processes:
        start_thread(partial(read, process))
    ended, failure = 0, None
    while ended < len(processes):
        line = lines.get()
        if isinstance(line, bytes):
            yield msgspec.json.decode(line, type=NumberedAnswer)
        else:
            ended, failure = ended + 1, failure or line
    if failure:
        raise failure
