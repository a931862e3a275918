"""A process that has imported much, and forks for each module that would: `python -m tests.forks.server NAME ADDRESS`.

To import torch and what its optimizers load takes seconds of a processor, all of fbmon without it a fifth of one.
Nothing is imported before the first request; then every fork has it at once, in the state in which an import leaves it:
the server has never computed, and has no thread. A fork that cannot be what the asking process would have been is
refused, and that one does its work itself.
"""

import array
import ctypes
import gc
import importlib
import io
import marshal
import os
import random
import runpy
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.forks.names import IMPORTED, inheritance, write_command_line

_LARGEST = 1 << 20  # bytes of a request
_MOST = 250  # descriptors; the kernel passes 253 at a time
_PR_SET_PDEATHSIG = 1
_ERRORS = sys.__stdin__.errors if sys.__stdin__ else "strict"  # by the language of the shell
Run = Callable[[], None]


class Server:
    """Forks for whoever asks at an address, as long as its own standard input is open."""

    def __init__(self, name: str, address: str) -> None:
        self._imported = IMPORTED[name]
        self._is_prepared = False
        self._selector = selectors.PollSelector()  # the kernel's own record of epoll would be shared with the forks
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(f"\0{address}")
        self._listener.listen(100)
        self._pids: dict[socket.socket, int] = {}  # of the forks by those who wait for them
        self._news, self._woken = socket.socketpair()  # gets a byte when a fork stops or goes on
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._news, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)

    def serve(self) -> Run:
        """Returns in each fork, with what it is to do; in the server itself never."""
        while True:
            for key, _ in self._selector.select():
                run = self._handle(key)
                if run:
                    return run

    def _handle(self, key: selectors.SelectorKey) -> Run | None:
        if key.fd == 0:  # nobody holds its other end any more
            os._exit(0)
        if key.fileobj is self._listener:
            self._selector.register(self._listener.accept()[0], selectors.EVENT_READ)
        elif key.fileobj is self._news:
            self._news.recv(1000)
            self._mirror()
        elif isinstance(key.fileobj, int):
            self._reap(key.fd, key.data)
        elif isinstance(key.fileobj, socket.socket):
            return self._hear(key.fileobj)
        return None

    def _mirror(self) -> None:
        """Stop those who wait for forks that stand still, so that they are seen to, and let them go on with these."""
        for connection, pid in self._pids.items():
            with suppress(ChildProcessError, ProcessLookupError):  # that one or the other has just ended
                changed = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
                if changed:
                    stops = changed.si_code == os.CLD_STOPPED
                    os.kill(_credentials(connection)[0], signal.SIGSTOP if stops else signal.SIGCONT)

    def _reap(self, descriptor: int, connection: socket.socket) -> None:
        """Tell how a fork has ended."""
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(self._pids[connection], 0)
        self._answer(connection, status)
        self._forget(connection)

    def _hear(self, connection: socket.socket) -> Run | None:
        pid = self._pids.get(connection)
        if pid is not None:  # the one who waits says nothing: it has died
            self._selector.unregister(connection)
            os.kill(pid, signal.SIGKILL)
            return None
        try:
            data, extra, flags, _ = connection.recvmsg(_LARGEST, socket.CMSG_SPACE(4 * _MOST))
        except OSError:
            data, extra, flags = b"", [], 0
        received = array.array("i")
        for _, _, part in extra:
            received.frombytes(part[: len(part) - len(part) % received.itemsize])
        run = None
        if data and not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) and _credentials(connection)[1] == os.getuid():
            run = self._fork(connection, marshal.loads(data), received.tolist())
        if run is None:
            for descriptor in received:
                os.close(descriptor)
            if connection not in self._pids:
                self._forget(connection)
        return run

    def _fork(self, connection: socket.socket, request: dict[str, Any], received: list[int]) -> Run | None:
        if request["inheritance"] != inheritance() or not self._prepare():
            return None
        server = os.getpid()
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # what is passed on early waits in the fork
        pid = os.fork()
        if not pid:
            self._leave()
            return lambda: _become(request, received, server)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._pids[connection] = pid
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, connection)
        self._answer(connection, pid)
        return None

    def _prepare(self) -> bool:
        """Import all that is to be there, at the first request; whether forks are safe: of a thread none would be."""
        if not self._is_prepared:
            for name in self._imported:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()
            self._is_prepared = True
        return len(os.listdir("/proc/self/task")) == 1

    def _leave(self) -> None:
        """Forget in a fork what is the server's: no object may close a number later that is another's by then."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._woken.close()

    def _answer(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):  # it has been killed
            connection.send(b"%d" % number)

    def _forget(self, connection: socket.socket) -> None:
        if connection in self._selector.get_map():
            self._selector.unregister(connection)
        self._pids.pop(connection, None)
        connection.close()


def _credentials(connection: socket.socket) -> tuple[int, int]:
    """The process at the other end, and its user."""
    pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, user


def _become(request: dict[str, Any], received: list[int], server: int) -> None:
    """Be what the asking process would have been, and do its work."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)
    _take_descriptors(request["descriptors"], received)
    os.environb.clear()
    os.environb.update(request["variables"])
    os.umask(request["umask"])
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    sys.orig_argv = request["arguments"]
    sys.stdin, sys.stdout, sys.stderr = (_stream(number) for number in range(3))
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    write_command_line(sys.orig_argv)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    _run(sys.orig_argv[1:])


def _run(command: list[str]) -> None:
    """Run `-m MODULE` or a script with its arguments as the interpreter would."""
    if command[0] == "-m":
        _, module, *arguments = command
        sys.argv, sys.path[0] = [module, *arguments], os.getcwd()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = command, os.path.dirname(os.path.abspath(command[0]))
        runpy.run_path(command[0], run_name="__main__")


def _take_descriptors(numbers: list[int], received: list[int]) -> None:
    """Have what was received under its numbers and nothing else open; the last that was is the working folder."""
    above = max([2, *numbers, *received]) + 1
    moved = [above + place for place in range(len(received))]
    for descriptor, place in zip(received, moved, strict=True):
        os.dup2(descriptor, place, inheritable=False)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in moved:
            try:
                os.close(number)
            except OSError:  # the one by which they were listed
                continue
    os.fchdir(moved[-1])
    for place, number in zip(moved, numbers, strict=False):
        os.dup2(place, number)
    for place in moved:
        os.close(place)


def _stream(number: int) -> Any:
    """Standard input, output or error as the interpreter would have opened it."""
    try:
        os.fstat(number)
    except OSError:
        return None
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED")) and number > 0
    raw = open(number, "wb" if number else "rb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    usual = "backslashreplace" if number == 2 else _ERRORS
    return io.TextIOWrapper(
        raw,
        encoding=encoding or "utf-8",
        errors=usual if number == 2 else errors or usual,
        line_buffering=not unbuffered and (number == 2 or raw.isatty()),
        write_through=unbuffered,
    )


if __name__ == "__main__":
    Server(*sys.argv[1:3]).serve()()
