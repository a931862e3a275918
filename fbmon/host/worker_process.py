"""Processes that compute with torch for a command, as torch takes seconds to load and may fail or be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Self

from fbmon.errors import FbmonError
from fbmon.host.scratch import nameless_file
from fbmon.text import clean, signal_name


class WorkerProcess:
    """A process of a module that reads a question from standard input and answers in lines on standard output.

    When it fails it leaves the reason in the last line on standard error. It begins at once, in a session of its own: a
    Ctrl-C is for the process that waits for it. Leaving the context kills it, and all that it has started.
    """

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str], question: bytes = b"", limit: float = 0.0
    ) -> None:
        self._limit = limit or None  # seconds, for `answer`
        self._errors = nameless_file()
        with nameless_file() as asked:  # a pipe would block this process until the other has loaded torch
            asked.write(question)
            asked.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:  # afterwards the number may be another's
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines as they come. Raises FbmonError with the reason if the process fails."""
        yield from self._process.stdout or ()
        self._process.wait()
        if reason := self._reason():
            raise FbmonError(reason)

    def answer(self) -> bytes:
        """Wait for the end and return the last line. Raises FbmonError if the process fails, or exceeds the limit."""
        try:
            output, _ = self._process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired:
            raise FbmonError(f"no answer within {self._limit:.0f} s") from None
        if reason := self._reason():
            raise FbmonError(reason)
        return output.splitlines()[-1] if output else b""

    def _reason(self) -> str:
        """Return why the process failed; empty if it did not."""
        code = self._process.returncode
        if not code:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        killed = f"killed by {signal_name(-code)}, often because memory ran out" if code < 0 else f"exit code {code}"
        return clean(lines[-1] if lines else killed, 400)
