"""The widget that shows a Plot; drawn line by line, anew only when the plot or the size has changed."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from fbmon.chart import Plot, draw


class ChartView(Widget):
    """One chart. `show` gives it what to draw; it asks nobody for anything."""

    # Colours by Okabe and Ito, told apart also by colour-blind eyes.
    DEFAULT_CSS = """
    ChartView {
        & > .chart--title { color: $foreground; text-style: bold; }
        & > .chart--axis { color: $text-muted; }
        & > .chart--mark, & > .chart--threshold { color: #d55e00; }
        & > .chart--target { color: #009e73; }
        & > .chart--validation { color: #e69f00; }
        & > .chart--secondary { color: #cc79a7; }
        & > .chart--primary { color: #56b4e9; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--title", "chart--axis", "chart--mark", "chart--threshold", "chart--target",
        "chart--validation", "chart--secondary", "chart--primary",
    }  # fmt: skip
    _STYLES: ClassVar[dict[str, str]] = {
        "title": "title",
        "axis": "axis",
        "mark": "mark",
        "threshold": "threshold",
        "target": "target",
        "val_loss": "validation",
        "val_accuracy": "validation",
        "full_loss": "secondary",
        "memory_0": "secondary",
        "memory_1": "target",
        "busy_1": "validation",
    }  # every other role is drawn as primary

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._plot: Plot | None = None
        self._strips: list[Strip] | None = None

    def show(self, plot: Plot) -> None:
        """Draw this from now on."""
        self._plot = plot
        self._strips = None
        self.refresh()

    def on_resize(self) -> None:
        self._strips = None

    def notify_style_update(self) -> None:
        self._strips = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        if self._strips is None:
            self._strips = self._render_strips()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _render_strips(self) -> list[Strip]:
        if self._plot is None:
            return []
        rows = draw(self._plot, self.size.width, self.size.height).rows
        # Looking a style up costs more than drawing a row: once per role.
        styles = {role: self._style(role) for role in {run.role for row in rows for run in row}}
        return [Strip([Segment(run.text, styles[run.role]) for run in row], self.size.width) for row in rows]

    def _style(self, role: str) -> Style:
        if not role:
            return self.rich_style
        return self.get_component_rich_style(f"chart--{self._STYLES.get(role, 'primary')}")
