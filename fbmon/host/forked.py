"""Tasks that processes forked from this one do beside it, and this one where none is to be had.

A fork has all it needs in memory already. The pools of the standard library would need semaphores, which there are none
of where /dev/shm is missing or read-only, and hang where only some of their processes and threads may be had.
"""

import os
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, NoReturn, TypeVar

Result = TypeVar("Result")


def share(tasks: Sequence[Callable[[], Result]], workers: int) -> list[Callable[[], Result]]:
    """Have so many processes begin the tasks, and return what is to be called, once each, for the results.

    To be called before any thread runs: to fork beside one may hang.
    """
    shares = [_Share(tasks[worker::workers]) for worker in range(workers)]
    return [partial(shares[number % workers].result, number // workers) for number in range(len(tasks))]


class _Share(Generic[Result]):
    """The tasks of one process, which hands over the results in their order."""

    def __init__(self, tasks: Sequence[Callable[[], Result]]) -> None:
        self._tasks = tasks
        self._results: dict[int, Result] = {}  # read, and not yet asked for
        self._count = 0  # results read
        receiving, sending = os.pipe()
        self._pipe = os.fdopen(receiving, "rb")
        try:
            self._process = os.fork()
        except OSError:
            self._pipe.close()
        else:
            if self._process == 0:
                os.close(receiving)  # else a pipe that nobody reads would hold it for ever
                self._work(sending)
        os.close(sending)

    def result(self, number: int) -> Result:
        """Return the result of a task; of one that the process came to nothing with it is found here."""
        while number >= self._count and not self._pipe.closed:
            self._read()
        return self._results.pop(number) if number in self._results else self._tasks[number]()

    def _read(self) -> None:
        try:
            self._results[self._count] = pickle.load(self._pipe)
            self._count += 1
        except (EOFError, pickle.UnpicklingError):  # it was killed, or has failed
            self._end()
        if self._count == len(self._tasks):
            self._end()

    def _end(self) -> None:
        self._pipe.close()
        os.waitpid(self._process, 0)

    def _work(self, sending: int) -> NoReturn:
        try:
            with os.fdopen(sending, "wb") as pipe:
                for task in self._tasks:
                    pickle.dump(task(), pipe)
                    pipe.flush()
            os._exit(0)
        finally:  # whatever happens, this one does not go on
            os._exit(1)
