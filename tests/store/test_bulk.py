"""A journal read at once comes to the curves that its events come to one by one, whatever happened to the run."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fbmon.events import (
    Event,
    GradientClipped,
    NonFiniteFound,
    PassRepeated,
    RunEnded,
    RunResumed,
    RunStarted,
    StateRestored,
    StepTaken,
    TrainingStarted,
    Validated,
)
from fbmon.run.journal import unseal
from fbmon.run.journal_columns import read
from fbmon.store.store import Store
from tests.runs import lines

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.none()
STEPS = st.lists(
    st.fixed_dictionaries({"loss": NUMBERS}, optional={'a name with "blanks"': NUMBERS, "grad_norm": NUMBERS}),
    min_size=1,
    max_size=70,
)


def told(steps: list[dict[str, float | None]], clipped: set[int], resumed_at: int) -> list[Event]:
    """A run that was killed after its last step, validated `resumed_at` again and took what comes after it again."""
    events: list[Event] = [
        RunStarted("r", "r", len(steps), "1", 7),
        TrainingStarted(9, 2, 64, 32, 9, "cpu", "float32", 1.0),
    ]
    for first in (0, min(resumed_at, len(steps))):
        if first:
            events += [RunResumed("1", 8, elapsed=1000.0), StateRestored(first, elapsed=1000.0)]
            events.append(Validated(first, {"val_accuracy": 0.25}, elapsed=1000.0))  # of which no checkpoint knew
        for step, values in list(enumerate(steps, 1))[first:]:
            if step in clipped:
                events += [GradientClipped(step, 2.5, 1.0, elapsed=step), PassRepeated(step, elapsed=step)]
            events.append(StepTaken(step, values, elapsed=step))
            if step % 3 == 1:
                accuracy = values["loss"]
                events.append(Validated(step, {"val_accuracy": accuracy}, elapsed=step))
    return [*events, NonFiniteFound(len(steps), ["loss"]), RunEnded("diverged", 3, len(steps))]


@settings(max_examples=60)
@given(STEPS, st.sets(st.integers(1, 70)), st.integers(0, 70), st.sets(st.integers(1, 150)), st.integers(0, 20_000))
@example([{"loss": None}] * 2, set(), 0, {7}, 0)  # the word of a resume is lost, and time goes back
def test_in_two_stretches_or_event_by_event_a_journal_comes_to_the_same_curves(
    steps: list[dict[str, float | None]], clipped: set[int], resumed_at: int, lost: set[int], cut: int
) -> None:
    written = [
        b"\xff?\n" if place in lost else line
        for place, line in enumerate(lines(told(steps, clipped, resumed_at)).splitlines(True))
    ]
    one_by_one, at_once = Store(), Store()
    for line in written:
        if (event := unseal(line.rstrip(b"\n"))) is not None:
            one_by_one.apply(event)

    text = b"".join(written)
    border = text.rfind(b"\n", 0, cut) + 1
    stretches = [read(text[:border]), read(text[border:])]
    for stretch in stretches:
        at_once.apply_stretch(stretch)

    assert sum(stretch.damaged for stretch in stretches) == written.count(b"\xff?\n")
    if one_by_one.plan is None:  # then the share of clipped steps begins with the first of them
        for store in (one_by_one, at_once):
            store.series.pop("clipped_share", None)
    assert at_once.series.keys() == one_by_one.series.keys()
    for name, series in one_by_one.series.items():
        assert np.array_equal(at_once.series[name].steps, series.steps), name
        assert np.array_equal(at_once.series[name].elapsed, series.elapsed), name
        if name != "clipped_share" or not lost:  # a clipped step whose line is lost may be told again after a resume
            assert np.array_equal(at_once.series[name].values, series.values, equal_nan=True), name
    for name in ("step", "elapsed", "clipped", "best", "repeats", "began", "plan", "ended", "clocks", "phase"):
        assert getattr(at_once, name) == getattr(one_by_one, name), name
