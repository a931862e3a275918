"""Threads beside the work of a process."""

import errno
import os
import threading
from collections.abc import Callable

from fbmon.errors import of_system


def start_thread(work: Callable[[], object]) -> threading.Thread:
    """Start a thread that ends with the process; raises FbmonError where the system has none to give."""
    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # Python does not pass on the system's reason, of which there is one only
        raise of_system(OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "starting a thread") from None
    return thread
