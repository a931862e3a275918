"""The terminal's driver: Textual's, which also comes back whole where it was stopped without a word."""

import signal

from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key


class Driver(LinuxDriver):
    """A SIGINT is the key Ctrl-C, as that which was pressed before the terminal made keys of it.

    After SIGSTOP, of which no program hears, Textual would start a second time beside itself and paint nothing.
    """

    def start_application_mode(self) -> None:
        """Take the terminal over; a SIGINT that was held back arrives now."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._loop.add_signal_handler(signal.SIGINT, lambda: self.process_message(Key("ctrl+c", None)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def _sigcont_application(self, *_: object) -> None:
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()
