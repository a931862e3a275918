"""The look of everything that opens over the charts."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType


class Dialog(ModalScreen[ScreenResultType]):
    """A container in the middle of the screen, which may be as large as the screen."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > * { max-width: 100%; max-height: 100%; padding: 0 1; background: $surface; border: round $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "dismiss(None)", show=False)]
