"""Runs as rows: what became of each, and the settings in which they differ; plain data."""

from typing import Any

import msgspec

from fbmon import recipe as recipes
from fbmon.errors import FbmonError
from fbmon.events import RunEnded, RunStarted, StepTaken, Validated
from fbmon.folder import RunFolder, written
from fbmon.journal import Tail, unseal
from fbmon.store import Store
from fbmon.text import as_utf8

_END_BYTES = 64 * 1024  # of a journal: some hundred events, the last validation among them in most runs


class Glance(msgspec.Struct, frozen=True):
    """What the list of runs shows, read from the beginning and the end of the journal only."""

    run: str
    path: str
    recipe: str
    state: str
    step: int
    steps: int
    val_accuracy: float | None
    last_sign: float  # seconds since 1970; 0 if there never was one


class Row(msgspec.Struct, frozen=True):
    """What became of one run."""

    run: str
    recipe: str
    state: str
    step: int
    steps: int
    seconds: float
    val_accuracy: float | None
    best_val_accuracy: float | None
    best_step: int | None
    loss: float | None
    val_loss: float | None
    clipped_share: float
    settings: dict[str, Any]


class Comparison(msgspec.Struct, frozen=True):
    """Several runs, and the settings that are not the same in all of them."""

    runs: list[Row]
    differing: list[str]


def state_of(folder: RunFolder, ended: RunEnded | None) -> str:
    """The truth about a run: its last word if it had one, else whether it still has its supervisor."""
    if ended:
        return ended.state
    return "running" if folder.is_alive() else "killed"


def glance(folder: RunFolder) -> Glance:
    """The state of a run at a glance; a damaged or half-written one is listed as what it is."""
    first, end = _first_and_end(folder)
    events = [event for line in end if (event := unseal(line)) is not None]
    began = unseal(first)
    ended = events[-1] if events and isinstance(events[-1], RunEnded) else None
    validated = next((event for event in reversed(events) if isinstance(event, Validated)), None)
    stepped = next((event.step for event in reversed(events) if isinstance(event, StepTaken)), 0)
    return Glance(
        run=as_utf8(folder.name),
        path=written(folder.path),
        recipe=began.recipe if isinstance(began, RunStarted) else "",
        state=state_of(folder, ended),
        step=max(stepped, ended.step if ended else 0),
        steps=began.steps if isinstance(began, RunStarted) else 0,
        val_accuracy=validated.values.get("val_accuracy") if validated else None,
        last_sign=_last_sign(folder, events[-1].time if events else 0.0),
    )


def read(folder: RunFolder) -> Row:
    """One run, folded from its whole journal."""
    store = Store()
    for event in Tail(folder.journal).read():
        store.apply(event)
    return Row(
        run=as_utf8(folder.name),
        recipe=store.began.recipe if store.began else "",
        state=state_of(folder, store.ended),
        step=store.step,
        steps=store.steps,
        seconds=store.elapsed,
        val_accuracy=store.latest.get("val_accuracy"),
        best_val_accuracy=store.best.value if store.best else None,
        best_step=store.best.step if store.best else None,
        loss=store.latest.get("loss"),
        val_loss=store.latest.get("val_loss"),
        clipped_share=store.clipped_share(),
        settings=settings_of(folder),
    )


def compare(rows: list[Row]) -> Comparison:
    """The rows, and the settings that differ among them, in the order of the schema."""
    keys = dict.fromkeys(key for row in rows for key in row.settings)
    differing = [key for key in keys if any(row.settings.get(key) != rows[0].settings.get(key) for row in rows)]
    return Comparison(rows, differing)


def differences(these: dict[str, Any], those: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By key, both values of each setting that is not the same; a setting that one has not is None there."""
    keys = dict.fromkeys([*these, *those])
    return {key: (these.get(key), those.get(key)) for key in keys if these.get(key) != those.get(key)}


def settings_of(folder: RunFolder) -> dict[str, Any]:
    """The resolved settings of a run by key, such as `optimizer.lr`; none where they cannot be read."""
    try:
        return recipes.flatten(recipes.load(folder.resolved))
    except FbmonError:
        return {}


def _first_and_end(folder: RunFolder) -> tuple[bytes, list[bytes]]:
    try:
        with folder.journal.open("rb") as file:
            first = file.readline().rstrip(b"\n")
            file.seek(max(0, folder.journal.stat().st_size - _END_BYTES))
            return first, file.read().split(b"\n")
    except OSError:
        return b"", []


def _last_sign(folder: RunFolder, last_event: float) -> float:
    try:
        return max(last_event, folder.progress.stat().st_mtime)
    except OSError:
        return last_event
