"""The sign of each kind of event: the same character in the event list and under the charts."""

from collections import defaultdict
from dataclasses import dataclass, field

from fbmon import metrics
from fbmon.chart import Signs
from fbmon.metrics import Chart
from fbmon.store.notes import Kind, Note
from fbmon.store.series import GrowingArray
from fbmon.ui.charts.across import Across
from fbmon.ui.charts.view import Events

SIGNS: dict[Kind, str] = {
    "start": "●", "validation": "·", "best": "★", "clipping": "▸", "rate": "→", "checkpoint": "◆", "command": "□",
    "stall": "…", "edge": "≈", "resume": "↻", "end": "■", "spike": "▲", "nonfinite": "✗", "divergence": "↑",
    "note": "✎",
}  # fmt: skip
ORDER: tuple[Kind, ...] = (  # by weight: where two stand in the same place the later is seen
    "start", "validation", "best", "clipping", "rate", "edge", "checkpoint", "command", "note", "stall", "resume",
    "end", "spike", "divergence", "nonfinite",
)  # fmt: skip
_ONLY_ON: dict[Kind, tuple[Chart, ...]] = {  # kinds that come often and say nothing about the other charts
    "validation": (metrics.LOSS, metrics.ACCURACY),
    "best": (metrics.LOSS, metrics.ACCURACY),
    "clipping": (metrics.GRADIENT, metrics.CLIPPED),
    "edge": (metrics.SHARPNESS, metrics.LOSS),
}


def is_listed(note: Note, events: Events) -> bool:
    """Say whether the event list shows it."""
    return events == "all" or (events == "main" and is_main(note))


def is_main(note: Note) -> bool:
    """Say whether it is rare, not a validation that was not the best so far, or a checkpoint that nobody asked for."""
    return note.kind != "validation" and (note.kind != "checkpoint" or note.level != "info")


@dataclass
class Places:
    """The places of the notes of each kind, the main ones and the others, kept up as notes are added."""

    _steps: dict[tuple[Kind, bool], GrowingArray] = field(default_factory=lambda: defaultdict(GrowingArray))
    _elapsed: dict[tuple[Kind, bool], GrowingArray] = field(default_factory=lambda: defaultdict(GrowingArray))
    _done: int = 0

    def update(self, notes: list[Note]) -> None:
        for note in notes[self._done :]:
            self._steps[note.kind, is_main(note)].append(note.step)
            self._elapsed[note.kind, is_main(note)].append(note.elapsed)
        self._done = len(notes)

    def signs(self, chart: Chart, across: Across, events: Events) -> tuple[Signs, ...]:
        """Return what stands under a chart, the weightiest last."""
        kept = {"main": (True,), "all": (False, True), "none": ()}[events]
        keys = [(kind, main) for kind in ORDER[1:] if chart in _ONLY_ON.get(kind, (chart,)) for main in kept]
        return tuple(
            Signs(across.places(self._steps[key].view(), self._elapsed[key].view()), SIGNS[key[0]], key[0])
            for key in keys
            if key in self._steps
        )
