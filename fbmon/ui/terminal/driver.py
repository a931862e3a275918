"""The terminal's driver: Textual's, which also comes back whole where it was stopped without a word."""

import os
import signal
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key


class Driver(LinuxDriver):
    """A SIGINT is the key Ctrl-C, as that which was pressed before the terminal made keys of it.

    To stop and to go on is left to the event loop. A handler interrupts the screen anywhere, also while it holds the
    lock of what it writes; Textual's would write there itself, and wait for ever for that lock.
    """

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        with suppress(OSError):  # not a terminal, or one without a name here
            # Opened once more, as not to wait for a key is else a property that the shell has as well.
            self.fileno = os.open(os.ttyname(self.fileno), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def start_application_mode(self) -> None:
        """Take the terminal over; a SIGINT that was held back arrives now."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._loop.add_signal_handler(signal.SIGINT, lambda: self.process_message(Key("ctrl+c", None)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def run_input_thread(self) -> None:
        """Read keys, and begin anew where a shell took those that were announced: whoever waits for them cannot end."""
        while not self.exit_event.is_set():
            with suppress(BlockingIOError):
                super().run_input_thread()

    def _sigtstp_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(super()._sigtstp_application)

    def _sigcont_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        """Start again. After SIGSTOP, of which no program hears, Textual starts beside itself and paints nothing."""
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()
