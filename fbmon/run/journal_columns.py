"""A stretch of a journal at once: what steps tell over and over as columns, everything else as events.

An event at a time costs half as much again to read and five times as much to fold: most lines of a journal differ from
the one before only in their numbers, and are decoded here all together into a structure made for their names.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

import msgspec

from fbmon.events import Analysed, Event, GradientClipped, StepTaken, Validated
from fbmon.run.journal import is_sealed, unseal

Teller = Literal["step", "validation", "analysis"]

_KINDS = {
    b'{"kind":"StepTaken",': 0,
    b'{"kind":"Validated",': 1,
    b'{"kind":"GradientCli': 2,
    b'{"kind":"Analysed","': 3,
}
_PREFIX_BYTES = 20


class Columns(msgspec.Struct, frozen=True, gc=False):
    """The values of some steps or validations, all of the same metrics; every column is as long as `steps`."""

    teller: Teller
    steps: Sequence[int]
    elapsed: Sequence[float]
    values: dict[str, Sequence[float | None]]


class Clips(msgspec.Struct, frozen=True, gc=False):
    """The steps that were clipped, each with its norm."""

    steps: Sequence[int]
    elapsed: Sequence[float]
    norms: Sequence[float]


Part = Columns | Clips | Event


@dataclass
class Stretch:
    """Some whole lines of a journal. Between two events the parts are ordered: clips, steps, validations, analyses."""

    parts: list[Part] = field(default_factory=list)
    last: Event | None = None  # the newest event of all
    damaged: int = 0  # lines


def read(text: bytes) -> Stretch:
    """Everything in whole lines of a journal."""
    lines = [line for line in text.split(b"\n") if line]
    sealed = [line for line in lines if is_sealed(line)]
    reading = _Reading(len(lines) - len(sealed))
    for line in sealed:
        kind = _KINDS.get(line[:_PREFIX_BYTES])
        if kind is None:
            reading.add(line)
        else:
            reading.alike[kind].append(line)
    reading.flush()
    reading.stretch.last = next((event for line in reversed(sealed) if (event := unseal(line)) is not None), None)
    return reading.stretch


class _Reading:
    """A stretch in the making, and the lines that are yet to be decoded together."""

    def __init__(self, damaged: int) -> None:
        self.stretch = Stretch(damaged=damaged)
        self.alike: tuple[list[bytes], ...] = tuple([] for _ in _KINDS)

    def add(self, line: bytes) -> None:
        """A line of a kind that comes seldom."""
        self.flush()
        event = unseal(line)
        if event is None:
            self.stretch.damaged += 1
        else:
            self.stretch.parts.append(event)

    def flush(self) -> None:
        """Decode what was put off; what cannot be decoded together is so one by one."""
        steps, validations, clips, analyses = self.alike
        decode: tuple[tuple[list[bytes], Callable[[list[bytes]], list[Part]]], ...] = (
            (clips, _clips),
            (steps, lambda lines: _columns("step", lines)),
            (validations, lambda lines: _columns("validation", lines)),
            (analyses, lambda lines: _columns("analysis", lines)),
        )
        for lines, together in decode:
            if lines:
                try:
                    self.stretch.parts += together(lines)
                except ValueError:  # msgspec's errors are ValueErrors: other names, or a line that makes no sense
                    self._one_by_one(lines)
                lines.clear()

    def _one_by_one(self, lines: list[bytes]) -> None:
        events = [event for event in map(unseal, lines) if event is not None]
        self.stretch.damaged += len(lines) - len(events)
        self.stretch.parts += parts_of(events)


def _clips(lines: list[bytes]) -> list[Part]:
    rows = _CLIPS.decode_lines(b"\n".join(lines))
    return [Clips([row.step for row in rows], [row.elapsed for row in rows], [row.norm for row in rows])]


def _columns(teller: Teller, lines: list[bytes]) -> list[Part]:
    names = tuple(_NAMES.decode(lines[0]).values)
    rows = _decoder(names).decode_lines(b"\n".join(lines))
    columns = zip(*map(msgspec.structs.astuple, [row.values for row in rows]), strict=True)
    values: dict[str, Sequence[float | None]] = dict(zip(names, columns, strict=True))
    return [Columns(teller, [row.step for row in rows], [row.elapsed for row in rows], values)]


def parts_of(events: Sequence[Event]) -> list[Part]:
    """Put events together as `read` does with lines; one of a kind that comes seldom has to be the last."""
    parts: list[Part] = []
    clips = [event for event in events if isinstance(event, GradientClipped)]
    if clips:
        parts.append(
            Clips([clip.step for clip in clips], [clip.elapsed for clip in clips], [clip.norm for clip in clips])
        )
    parts += _together("step", [event for event in events if isinstance(event, StepTaken)])
    parts += _together("validation", [event for event in events if isinstance(event, Validated)])
    parts += _together("analysis", [event for event in events if isinstance(event, Analysed)])
    if events and not isinstance(events[-1], GradientClipped | StepTaken | Validated | Analysed):
        parts.append(events[-1])
    return parts


def _together(teller: Teller, events: Sequence[StepTaken | Validated | Analysed]) -> Iterator[Columns]:
    for names, group in groupby(events, lambda event: tuple(event.values)):
        rows = list(group)
        columns = zip(*[row.values.values() for row in rows], strict=True)
        values: dict[str, Sequence[float | None]] = dict(zip(names, columns, strict=True))
        yield Columns(teller, [row.step for row in rows], [row.elapsed for row in rows], values)


class _Named(msgspec.Struct):
    values: dict[str, float | None]


class _Clip(msgspec.Struct, gc=False):
    step: int
    norm: float
    elapsed: float = 0.0


_NAMES = msgspec.json.Decoder(_Named)
_CLIPS = msgspec.json.Decoder(_Clip)


@lru_cache(maxsize=64)
def _decoder(names: tuple[str, ...]) -> Any:  # noqa: ANN401 - of a structure made here
    """Return a decoder of steps that tell of exactly these metrics, whatever these are called."""
    fields: list[Any] = [(f"value_{index}", float | None) for index in range(len(names))]
    called = {f"value_{index}": name for index, name in enumerate(names)}
    values = msgspec.defstruct("Values", fields, rename=called, forbid_unknown_fields=True, gc=False)
    row = msgspec.defstruct("Row", [("step", int), ("values", values), ("elapsed", float, 0.0)], gc=False)
    return msgspec.json.Decoder(row)
