"""The screen in a real terminal: what is painted and when, and what is left behind when it goes."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from fbmon.events import PhaseEntered
from tests.shell import (
    DEADLINE,
    ENDLESS,
    Fbmon,
    environment,
    last_word,
    processes,
    steps_taken,
    told,
    trainer,
    until,
    wait_for_steps,
)

# Modes a program may set and must take back, by what Textual uses: the alternate screen, mouse reports, pasting, focus.
MODES = {"1049", "1000", "1002", "1003", "1006", "1015", "1016", "2004", "1004"}
KEYBOARD_PROTOCOL = re.compile(rb"\x1b\[[<>=?][0-9;]*[u$p]+")  # unknown to pyte, which would print it

# Makes the terminal the controlling one, as a shell's is, and becomes fbmon.
LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, '-m', 'fbmon', *sys.argv[1:]])"


class Terminal:
    """`fbmon` in a terminal of its own; `text` is what stands there."""

    def __init__(self, arguments: list[str], env: dict[str, str], width: int = 80, height: int = 24) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._before = termios.tcgetattr(slave)
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.output = b""
        self.painted = 0.0  # when the first letter stood there
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOGIN, *arguments],
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
        until(lambda: not select.select([self._master], [], [], 0)[0], seconds=5)
        return code

    def modes_left(self) -> set[str]:
        """Modes that were set and not taken back, and what else is not as it was."""
        left = set()
        for modes, state in re.findall(rb"\x1b\[\?([0-9;]+)([hl])", self.output):
            for mode in modes.decode().split(";"):
                left.discard(mode)
                if mode in MODES and state == b"h":
                    left.add(mode)
        hidden = re.findall(rb"\x1b\[\?25([hl])", self.output)
        if hidden and hidden[-1] == b"l":
            left.add("cursor hidden")
        if termios.tcgetattr(self._slave) != self._before:
            left.add("termios")
        return left

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        self._reader.join(timeout=5)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                received = os.read(self._master, 1 << 16)
            except OSError:  # nobody holds the terminal any longer
                return
            with self._lock:
                self.output += received
                self._stream.feed(KEYBOARD_PROTOCOL.sub(b"", received))
                if not self.painted and any(line.strip() for line in self._screen.display):
                    self.painted = time.time()


@pytest.fixture
def terminal(runs_dir: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens a terminal and types an fbmon command."""
    opened: list[Terminal] = []

    def open_one(*arguments: str | Path, width: int = 80, height: int = 24) -> Terminal:
        opened.append(Terminal([str(argument) for argument in arguments], environment(runs_dir), width, height))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_the_screen_stands_before_torch_is_imported_and_the_run_outlives_it(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    first = terminal("run", tiny, "--steps", ENDLESS)
    first.until("● loading torch")
    folder = fbmon.run_folder()
    first.until(rf"● training +{folder.name}")
    first.until(r" step [1-9]\d*/100000 ")
    (loaded,) = [event for event in told(folder) if event_is(event, "loading data")]
    assert first.painted < loaded.time
    until(lambda: steps_taken(folder) > 30)  # the best accuracy is among the first eleven

    first.process.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    wait_for_steps(folder)
    assert folder.is_alive()

    second = terminal("watch", width=160, height=48)
    text = second.until(r"clipping engaged \(norm")
    assert re.search(rf"● (training|validating)  {folder.name}", text)
    assert re.search(r"step +0  ● training 5,142 parameters on 1 CPU thread", text)
    assert re.search(r"step +1  ★ best validation accuracy", text)

    second.press("q")
    second.until("Leave it running")
    second.press("l")
    assert second.wait() == 0
    assert second.modes_left() == set()
    goodbye = f"{folder.name} goes on in the background; see it again with: fbmon watch {folder.name}"
    assert second.output.endswith(goodbye.encode() + b"\r\n")
    assert second.output.index(goodbye.encode()) > second.output.rindex(b"\x1b[?1049l")
    wait_for_steps(folder)


def test_the_screen_says_within_two_seconds_that_the_trainer_was_killed(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    screen.until(r" step [1-9]\d*/100000 ")

    trainer(folder).kill()

    text = screen.until("the trainer was killed by SIGKILL", seconds=2)
    assert "● killed" in text
    screen.press("q")
    assert screen.wait() == 4
    assert screen.modes_left() == set()
    assert b"the trainer was killed by SIGKILL (often this is the system running out of memory); log: " in screen.output
    assert screen.output.endswith(f"{folder.log}\r\n".encode())
    assert processes(folder.path) == []


def test_s_stops_the_run_and_leaves_when_its_state_is_saved(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    screen.until(r" step [1-9]\d*/100000 ")

    screen.press("q")
    screen.until("Stop it")
    screen.press("s")

    assert screen.wait() == 130
    ended = last_word(folder)
    assert ended is not None
    assert ended.state == "stopped"
    assert [path.name for path in folder.checkpoints.iterdir()] == [f"step-{ended.step:08d}"]
    assert screen.modes_left() == set()
    assert screen.output.endswith(b"by the screen; the state is saved\r\n")


def event_is(event: object, phase: str) -> bool:
    return isinstance(event, PhaseEntered) and event.phase == phase
