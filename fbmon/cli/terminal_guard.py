"""The keeper: waits beside the screen, and gives the terminal back whole whatever way the screen dies.

    shell ── keeper ── screen

The shell knows the keeper only: it leaves with the screen's exit code, and stops and goes on with it. The fork comes
before anything heavy is imported: the keeper stays small, no thread is lost, and the start is not delayed.
"""

import os
import signal
import socket
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

_TERMINAL = 0
# Only a person sends these to the keeper alone; what the terminal sends reaches the screen as well.
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_ALSO_KEYS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
_SIGNALS = (*_PASSED_ON, *_ALSO_KEYS)
_CONTINUED_SECONDS = 0.2
_PATH_BYTES = 8192

_SAVE_CURSOR = b"\x1b7"  # where leaving the alternate screen goes back to if it was never entered
_RESET = (
    b"\x1b\\"  # ends what was half written
    b"\x1b[?2026l\x1b[<u"  # synchronized output; the keyboard protocol, which belongs to the alternate screen
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # mouse
    b"\x1b]22;default\x07\x1b[?1004l\x1b[?2004l\x1b[?2048l"  # its pointer; focus, paste, resize reports
    b"\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"  # line wrap, the ordinary screen, the cursor, colours
)


class Kept:
    """The screen's tie to its keeper. If the keeper is killed, the screen restores the terminal itself and leaves."""

    def __init__(self, tie: socket.socket, terminal: "Terminal") -> None:
        self._tie = tie
        self._terminal = terminal
        threading.Thread(target=self._leave_with_keeper, name="keeper", daemon=True).start()

    def shows(self, run: Path) -> None:
        """Let the keeper know which run goes on when the screen is gone."""
        with suppress(OSError):
            self._tie.send(os.fsencode(run.absolute())[:_PATH_BYTES])

    def _leave_with_keeper(self) -> None:
        with suppress(OSError):
            self._tie.recv(1)
        # A shell has noticed the death and may have its own modes in place again: then those are not touched.
        self._terminal.restore()
        os._exit(128 + signal.SIGHUP)


class Terminal:
    """The terminal as it was before the screen."""

    def __init__(self) -> None:
        self._modes = termios.tcgetattr(_TERMINAL)

    def restore(self) -> None:
        """Take back every mode of the screen, and what was typed or reported meanwhile."""
        with suppress(OSError):
            os.write(1, _RESET)
        self.restore_modes()

    def restore_modes(self) -> None:
        """Take back the line discipline's modes, if the terminal is ours to change."""
        with suppress(OSError, termios.error):
            if os.tcgetpgrp(_TERMINAL) == os.getpgrp():
                termios.tcsetattr(_TERMINAL, termios.TCSANOW, self._modes)
                termios.tcflush(_TERMINAL, termios.TCIFLUSH)

    def is_changed(self) -> bool:
        """Say whether someone has changed the modes and not changed them back."""
        with suppress(termios.error):
            return termios.tcgetattr(_TERMINAL) != self._modes
        return False


def keep() -> Kept:
    """Fork. Returns in the screen only; the keeper waits for it and exits as it does."""
    terminal = Terminal()
    ours, theirs = socket.socketpair()
    os.write(1, _SAVE_CURSOR)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the keeper can pass them on
    screen = os.fork()
    if screen:
        theirs.close()
        _keep(screen, ours, terminal)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    ours.close()
    return Kept(theirs, terminal)


def _keep(screen: int, tie: socket.socket, terminal: Terminal) -> NoReturn:
    _pass_on_signals(screen)
    code = _wait(screen, terminal)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    if code < 0:
        terminal.restore()
        from fbmon.text import signal_name  # not before: the keeper is small

        _say(f"the screen was ended by {signal_name(-code)}{_fate(tie)}")
    elif terminal.is_changed():
        terminal.restore()
    # Nothing of the interpreter's own end is wanted twice.
    os._exit(code if code >= 0 else 128 - code)


def _pass_on_signals(screen: int) -> None:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(screen, number)

    def pass_on_unless_key(number: int, frame: FrameType | None) -> None:
        # While the terminal makes signals of keys, the screen has got it from there.
        with suppress(termios.error):
            if termios.tcgetattr(_TERMINAL)[3] & termios.ISIG:
                return
        pass_on(number, frame)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    for number in _ALSO_KEYS:
        signal.signal(number, pass_on_unless_key)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _wait(screen: int, terminal: Terminal) -> int:
    """Wait for the end of the screen, stopping and going on with it; its exit code, or minus its signal."""
    woken: list[int] = []
    signal.signal(signal.SIGCONT, lambda number, _: woken.append(number))
    _, status = os.waitpid(screen, os.WUNTRACED)
    while os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
        if os.WIFCONTINUED(status):
            woken.clear()
            _, status = os.waitpid(screen, os.WUNTRACED)
        else:  # who was woken was stopped as well, by a SIGSTOP for all of the job, and hears of the screen's too late
            goes_on = _going_on(screen) if woken else None
            status = _stop_too(screen, terminal) if goes_on is None else goes_on
    return os.waitstatus_to_exitcode(status)


def _stop_too(screen: int, terminal: Terminal) -> int:
    """Give the terminal to the shell; once the shell gives it back, the status of the continued or ended screen."""
    if terminal.is_changed():  # SIGSTOP from outside: the screen could not
        terminal.restore()
    passing_on = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.killpg(os.getpgrp(), signal.SIGTSTP)  # as the key does: also a `make` above us; without a shell it stops nobody
    signal.signal(signal.SIGTSTP, passing_on)
    # A shell continues both of us, a person perhaps one; Textual takes a second signal for a second start.
    status = _going_on(screen)
    if status is not None:
        return status
    os.kill(screen, signal.SIGCONT)
    return os.waitpid(screen, os.WCONTINUED)[1]


def _going_on(screen: int) -> int | None:
    """Return the status of a stopped screen if it is continued, or ends, within a moment."""
    deadline = time.monotonic() + _CONTINUED_SECONDS
    while time.monotonic() < deadline:
        changed, status = os.waitpid(screen, os.WNOHANG | os.WCONTINUED)
        if changed:
            return status
        time.sleep(0.01)
    return None


def _fate(tie: socket.socket) -> str:
    """Return what has become of the run, for the one line that remains of the screen."""
    with suppress(OSError):
        if path_bytes := tie.recv(_PATH_BYTES, socket.MSG_DONTWAIT):
            from fbmon.run import Life, RunFolder  # not before: the keeper is small

            folder = RunFolder(Path(os.fsdecode(path_bytes)))
            fate = {
                Life.RUNNING: "the training goes on",
                Life.ENDED: "the training has ended",
                Life.UNKNOWN: "whether the training goes on is unknown",
            }[folder.look().life]
            return f"; {fate}: fbmon watch {folder.typed}"
    return ""


def _say(line: str) -> None:
    from fbmon.text import clean

    with suppress(OSError):
        sys.stderr.write(clean(line, 1000) + "\n")
        sys.stderr.flush()
