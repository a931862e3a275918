"""`fbmon` in a terminal of its own, under a shell with job control."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress

import psutil
import pyte

from tests.shell import DEADLINE, until

# Modes a program may set and must take back, by what Textual uses: the alternate screen, mouse reports, pasting, focus,
# reports of the size.
MODES = {"1049", "1000", "1002", "1003", "1006", "1015", "1016", "2004", "1004", "2048"}
ON_AT_FIRST = {"25": "cursor hidden", "7": "no line wrap"}
KEYBOARD_PROTOCOL = re.compile(rb"\x1b\[[<>=?][0-9;]*[u$p]+")  # unknown to pyte, which would print it
UNFINISHED = re.compile(rb"\x1b(\[[<>=?0-9;]*)?$")  # the first part of what the terminal gets in two
LAST = b"\x1b]the test\x07"  # written behind all else: when it has been read, that has

# The terminal as a window that holds fbmon alone.
LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"

# A shell that knows one command. What is stopped goes on by a line typed; the exit code is passed on.
SHELL = """
import os, signal, sys
os.login_tty(0)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        code = os.waitstatus_to_exitcode(status)
        sys.exit(code if code >= 0 else 128 - code)
    os.write(1, b"[stopped]\\n")
    os.read(0, 100)
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
"""


class Terminal:
    """`fbmon` in a terminal of its own; `text` is what stands there."""

    def __init__(
        self,
        arguments: list[str],
        env: dict[str, str],
        width: int = 80,
        height: int = 24,
        *,
        job_control: bool = True,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._before = termios.tcgetattr(slave)
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._open = self._drawn = True
        self.stalled = False  # while set, nobody reads what is written to the terminal
        self.output = self._undrawn = b""
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                SHELL if job_control else LOGIN,
                sys.executable,
                "-m",
                "fbmon",
                *arguments,
            ],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
        )
        self._slave = slave
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        with self._lock:
            return "\n".join(self._screen.display)

    def painted_since(self, mark: bytes) -> str:
        """The text on a blank screen that has got only what came after the last `mark`."""
        with self._lock:
            blank = pyte.Screen(self._screen.columns, self._screen.lines)
            pyte.ByteStream(blank).feed(KEYBOARD_PROTOCOL.sub(b"", self.output.rpartition(mark)[2]))
        return "\n".join(blank.display)

    @property
    def keeper(self) -> psutil.Process:
        """What the shell knows as fbmon."""
        return until(lambda: psutil.Process(self.process.pid).children())[0]

    @property
    def screen(self) -> psutil.Process:
        """What shows the run."""
        return until(self.keeper.children)[0]

    def resize(self, width: int, height: int, *, draw: bool = True) -> None:
        """Change the window; without `draw` what comes is read and not drawn, which takes longer than to write it."""
        with self._lock:
            self._drawn = draw
            self._screen.resize(height, width)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, part: str, seconds: float = DEADLINE) -> str:
        """The text, once `part` stands in it; the test fails if that takes too long."""
        try:
            return until(lambda: text if re.search(part, text := self.text) else None, seconds)
        except AssertionError:
            raise AssertionError(f"no {part!r} within {seconds} s in\n{self.text}") from None

    def wait(self) -> int:
        """The exit code, after the last output has been read."""
        code = self.process.wait(timeout=DEADLINE)
        os.write(self._slave, LAST)
        until(lambda: LAST in self.output)
        with self._lock:
            self.output = self.output.replace(LAST, b"")
        return code

    def modes_left(self) -> set[str]:
        """Modes that were set and not taken back, and what else is not as it was."""
        left = set()
        for modes, state in re.findall(rb"\x1b\[\?([0-9;]+)([hl])", self.output):
            for mode in modes.decode().split(";"):
                left.discard(mode)
                if mode in MODES and state == b"h":
                    left.add(mode)
        for mode, name in ON_AT_FIRST.items():
            changes = re.findall(rb"\x1b\[\?%s([hl])" % mode.encode(), self.output)
            left |= {name} if changes and changes[-1] == b"l" else set()
        changes = re.findall(rb"\x1b\[([<>])[0-9;]*u", self.output)
        left |= {"keyboard protocol"} if changes and changes[-1] == b">" else set()
        left |= {"termios"} if termios.tcgetattr(self._slave) != self._before else set()
        return left

    def hang_up(self) -> None:
        """Close the window: its session gets SIGHUP, and nobody reads any more."""
        self._open = False
        self._reader.join()
        os.close(self._slave)
        os.close(self._master)

    def close(self) -> None:
        if self.process.poll() is None:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # one that died of the death of another
                    process.kill()
            self.process.kill()
            self.process.wait()
        if self._open:
            self.hang_up()

    def _read(self) -> None:
        while self._open:
            if self.stalled or not select.select([self._master], [], [], 0.05)[0]:
                time.sleep(0.01)
                continue
            try:
                received = os.read(self._master, 1 << 16)
            except OSError:  # nobody holds the terminal any longer
                return
            with self._lock:
                self.output += received
                if self._drawn:
                    self._draw(received)

    def _draw(self, received: bytes) -> None:
        whole = self._undrawn + received
        half = UNFINISHED.search(whole)
        self._undrawn = half[0] if half else b""
        self._stream.feed(KEYBOARD_PROTOCOL.sub(b"", whole.removesuffix(self._undrawn)))
