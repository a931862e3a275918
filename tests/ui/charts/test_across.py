"""A run on the four x-axes, as it grows."""

from fbmon.events import PassRepeated, RunStarted, StepTaken
from fbmon.store.store import Store
from fbmon.ui.charts.across import Across
from fbmon.ui.charts.view import Extent, Moment


def step(number: int, elapsed: float, time: float = 0.0) -> StepTaken:
    return StepTaken(number, {"loss": 1.0}, elapsed=elapsed, time=time)


def test_a_repeated_pass_moves_all_that_follows() -> None:
    store = Store()
    across = Across(store, "passes")
    for event in (step(1, 1.0), PassRepeated(2, elapsed=1.5), step(2, 2.0), step(3, 3.0)):
        store.apply(event)
        if "loss" in store.series:
            across.x(store.series["loss"])
    assert across.x(store.series["loss"]).tolist() == [1, 3, 4]
    assert across.at(Moment(3, 3.0)) == 4


def test_the_clock_has_a_gap_where_the_run_was_resumed_and_never_goes_back() -> None:
    store = Store()
    for event in (
        step(1, 1.0, 1001.0),
        step(2, 2.0, 1002.5),
        RunStarted("a", "a", 10, "0", 1, elapsed=2.1, time=5002.1),
        step(3, 3.0, 5003.0),
        step(4, 4.0, 4000.0),  # somebody has set the clock back
    ):
        store.apply(event)
    across = Across(store, "clock")
    assert across.x(store.series["loss"]).tolist() == [1001, 1002, 5003, 5004]
    assert across.extent() == Extent(1000.0, 5004.0, 5004.0, 1.0)


def test_a_run_that_goes_on_has_room_for_as_much_again() -> None:
    store = Store()
    store.apply(RunStarted("a", "a", 1000, "0", 1))
    assert Across(store, "step").extent().high == 31.25
    for number in range(1, 301):
        store.apply(step(number, float(number)))
    assert Across(store, "step").extent() == Extent(0.0, 500.0, 300.0, 4.0)
    assert Across(store, "elapsed").extent() == Extent(0.0, 300.0, 300.0, 1.0)


def test_smoothing_is_kept_up_with_the_run_and_begins_anew_with_another_weight() -> None:
    store = Store()
    store.apply(step(1, 1.0))
    across = Across(store, "step")
    first = across.smoothed(store.series["loss"], 0.6)
    store.apply(step(2, 2.0))
    assert across.smoothed(store.series["loss"], 0.6) is first
    assert len(first) == 2
    assert across.smoothed(store.series["loss"], 0.9) is not first
