"""The sign of each kind of event: the same character in the event list and under the charts."""

from dataclasses import dataclass, field
from typing import get_args

from fbmon import metrics
from fbmon.chart import Signs
from fbmon.metrics import Chart
from fbmon.notes import Kind, Note
from fbmon.series import Column
from fbmon.ui.across import Across
from fbmon.ui.view import Events

SIGNS: dict[Kind, str] = {
    "start": "●", "validation": "·", "best": "★", "clipping": "▸", "rate": "→", "checkpoint": "◆", "command": "□",
    "stall": "…", "edge": "≈", "resume": "↻", "end": "■", "spike": "▲", "nonfinite": "✗", "divergence": "↑",
}  # fmt: skip
ORDER: tuple[Kind, ...] = (  # by weight: where two stand in the same place the later is seen
    "start", "validation", "best", "clipping", "rate", "edge", "checkpoint", "command", "stall", "resume", "end",
    "spike", "divergence", "nonfinite",
)  # fmt: skip
_ONLY_ON: dict[Kind, tuple[Chart, ...]] = {  # kinds that come often and say nothing about the other charts
    "validation": (metrics.LOSS, metrics.ACCURACY),
    "best": (metrics.LOSS, metrics.ACCURACY),
    "clipping": (metrics.GRADIENT, metrics.CLIPPED),
    "edge": (metrics.SHARPNESS, metrics.LOSS),
}


def is_listed(note: Note, events: Events) -> bool:
    """Whether the event list shows it; a validation that was not the best so far is only among `all`."""
    return events == "all" or (events == "main" and note.kind != "validation")


@dataclass
class Places:
    """Where the notes of each kind stand, kept up as notes are added."""

    _steps: dict[Kind, Column] = field(default_factory=lambda: {kind: Column() for kind in get_args(Kind)})
    _elapsed: dict[Kind, Column] = field(default_factory=lambda: {kind: Column() for kind in get_args(Kind)})
    _done: int = 0

    def update(self, notes: list[Note]) -> None:
        for note in notes[self._done :]:
            self._steps[note.kind].append(note.step)
            self._elapsed[note.kind].append(note.elapsed)
        self._done = len(notes)

    def signs(self, chart: Chart, across: Across, events: Events) -> tuple[Signs, ...]:
        """What stands under a chart, the weightiest last."""
        return tuple(
            Signs(across.places(self._steps[kind].view(), self._elapsed[kind].view()), SIGNS[kind], kind)
            for kind in ORDER[1:]
            if len(self._steps[kind]) and _stands_under(kind, chart, events)
        )


def _stands_under(kind: Kind, chart: Chart, events: Events) -> bool:
    if events == "none" or (kind == "validation" and events != "all"):
        return False
    return chart in _ONLY_ON.get(kind, (chart,))
