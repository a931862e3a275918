"""The keys at the bottom of the screen: those that fit, whole, and that would do what they say."""

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Footer
from textual.widgets._footer import FooterKey  # what Footer is made of; it has no other name


class KeysFooter(Footer):
    """Leaves out from the right what does not fit, and letters where they are typed into a line."""

    def compose(self) -> ComposeResult:
        room = self.app.size.width + 1  # the last one needs no gap
        for key in super().compose():
            if isinstance(key, FooterKey):
                if self._is_typed(key.key_display):
                    continue
                room -= cell_len(f"{key.key_display} {key.description} ")
            if room >= 0:
                yield key

    def _is_typed(self, keys: str) -> bool:
        focused = self.screen.focused
        return focused is not None and all(
            len(key) == 1 and focused.check_consume_key(key, key) for key in keys.split()
        )

    async def on_resize(self, _event: Resize) -> None:
        await self.recompose()
