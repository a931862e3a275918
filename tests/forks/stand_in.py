"""A process that lets a fork of the server do its work, and is to its parent what that one is: its signals, its end."""

import array
import marshal
import os
import select
import signal
import socket
import sys

from tests.forks.names import inheritance, write_command_line

_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}  # ignored by every interpreter
_NOT_PASSED_ON = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}


def stand_in(address: str) -> None:
    """Never returns if the server takes the work; returns, and nothing has happened, if it is not there or does not."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"\0{address}")
        parent = os.pidfd_open(os.getppid())
        write_command_line(["stand-in"])  # it is the fork that tests are to find
    except OSError:
        connection.close()
        return
    descriptors = _inherited()
    pid = _ask(connection, descriptors)
    if not pid:
        write_command_line(sys.orig_argv)
        connection.close()
        os.close(parent)
        return
    for descriptor in descriptors:
        os.close(descriptor)  # or a pipe would not end with the fork
    _pass_on(pid)
    _wait(connection, parent)


def _inherited() -> list[int]:
    """Open descriptors that are not this interpreter's own."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.get_inheritable(number):
                found.append(number)
        except OSError:  # the one by which they were listed
            continue
    return sorted(found)


def _ask(connection: socket.socket, descriptors: list[int]) -> int:
    """The number of the process that does the work; 0 if none does."""
    ignored = [number for number in signal.valid_signals() - _BY_PYTHON if signal.getsignal(number) == signal.SIG_IGN]
    umask = os.umask(0o077)
    os.umask(umask)
    here = os.open(".", os.O_PATH)
    request = {
        "arguments": sys.orig_argv,
        "variables": {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()},
        "descriptors": descriptors,
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "ignored": [int(number) for number in ignored],
        "umask": umask,
        "inheritance": inheritance(),
    }
    try:
        passed = array.array("i", [*descriptors, here])
        connection.sendmsg([marshal.dumps(request)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        return int(connection.recv(64) or b"0")
    except OSError:  # the server has gone, or the request is too long for it
        return 0
    finally:
        os.close(here)


def _pass_on(pid: int) -> None:
    def pass_on(number: int, _frame: object) -> None:
        os.kill(pid, number)

    for number in signal.valid_signals() - _NOT_PASSED_ON - _BY_PYTHON:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what waits is passed on, and waits there


def _wait(connection: socket.socket, parent: int) -> None:
    """End as the fork ends. A trainer ends with its supervisor, however that went; the fork then follows."""
    watched = [connection.fileno()] + [parent] * ("fbmon.process.worker" in sys.orig_argv)
    ready, _, _ = select.select(watched, [], [])
    answer = connection.recv(64) if connection.fileno() in ready else b""
    code = os.waitstatus_to_exitcode(int(answer)) if answer else -signal.SIGKILL
    if code >= 0:
        os._exit(code)
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    signal.pause()
