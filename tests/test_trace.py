"""The published run with the late instability, synthesized from its figures: its clipping and its spike are told."""

import numpy as np
import pytest

from fbmon.run.journal import Tail
from fbmon.store.notes import Note
from fbmon.store.store import Store
from tests import trace


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The journal as any screen reads it."""
    path = tmp_path_factory.mktemp("trace") / "journal.jsonl"
    trace.write(path)
    store = Store()
    for event in Tail(path).read():
        store.apply(event)
    return store


def of_kind(store: Store, kind: str) -> list[Note]:
    return [note for note in store.notes if note.kind == kind]


def test_the_spike_is_named_where_it_is(store: Store) -> None:
    (spike,) = of_kind(store, "spike")
    assert (spike.step, spike.level) == (2286, "error")
    assert spike.text == "spike: gradient norm 48.7700, 197 times its recent level 0.2475"


def test_every_clipped_step_is_counted_and_the_first_and_last_are_right(store: Store) -> None:
    steps = store.clipped.steps
    assert (len(steps), steps[0], steps[-1]) == (2248, 1, 2510)
    assert np.histogram(steps, range(1, 3002, 250))[0].tolist() == [*[250] * 7, 245, 28, 215, 10, 0]
    assert store.clipped_share() == pytest.approx(2248 / 3000)


def test_thousands_of_clipped_steps_are_two_events(store: Store) -> None:
    assert [(note.step, note.text) for note in of_kind(store, "clipping")] == [
        (1, "clipping engaged (norm 2.7580), 2,023 of 2,194 steps (92%), 1,927 in a row, released after step 2194"),
        (2286, "clipping engaged (norm 48.7700), 225 steps in a row, released after step 2510"),
    ]


def test_the_rest_of_the_story_is_told(store: Store) -> None:
    assert [(note.step, note.text) for note in of_kind(store, "rate")] == [
        (401, "warm-up over, learning rate 0.8"),
    ]
    assert of_kind(store, "best")[-1].text == "best validation accuracy 0.9563"
    assert of_kind(store, "best")[-1].step == 2701
    assert len(of_kind(store, "best")) + len(of_kind(store, "validation")) == 31
    assert of_kind(store, "stall") == []
    assert store.ended is not None
    assert store.ended.state == "finished"
