"""The look of every question that the screen asks."""

from textual.screen import ModalScreen, ScreenResultType


class Question(ModalScreen[ScreenResultType]):
    """A few words and buttons in the middle of the screen, in a container of their own."""

    DEFAULT_CSS = """
    Question { align: center middle; }
    Question > Vertical {
        width: 64; max-width: 100%; height: auto; padding: 1 2;
        background: $surface; border: round $primary;
    }
    Question Button { width: 100%; margin-top: 1; }
    """
