"""The terminal's driver: Textual's, which also comes back whole where it was stopped without a word."""

from textual.drivers.linux_driver import LinuxDriver


class Driver(LinuxDriver):
    """After SIGSTOP, of which no program hears, Textual would start a second time beside itself and paint nothing."""

    def _sigcont_application(self, *_: object) -> None:
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()
