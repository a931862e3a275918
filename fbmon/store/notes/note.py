"""One line of the event list."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["info", "good", "warning", "error"]
Kind = Literal[
    "start", "clipping", "spike", "rate", "edge", "best", "validation", "checkpoint", "nonfinite", "divergence",
    "stall", "command", "resume", "note", "end",
]  # fmt: skip


@dataclass(frozen=True)
class Note:
    """Something that happened at a step, or began there; the text of an episode grows until it is over."""

    step: int
    elapsed: float
    level: Level
    text: str
    kind: Kind
