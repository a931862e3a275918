"""The view as a pure thing: what zooming, panning and following show."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbmon.ui.charts import view as views
from fbmon.ui.charts.view import SMOOTHINGS, Extent, View

RUN = Extent(low=0.0, high=1000.0, end=600.0, least=4.0)


def test_zooming_in_halves_what_is_in_sight_around_the_middle_of_the_points() -> None:
    assert views.sight(views.zoom(View(), RUN, 2, None), RUN) == (150, 650)


def test_zooming_in_keeps_the_cursor_where_it_is() -> None:
    assert views.sight(views.zoom(View(), RUN, 2, 200.0), RUN) == (100, 600)


def test_zooming_out_again_ends_at_the_whole_run() -> None:
    view = views.zoom(views.zoom(View(), RUN, 2, 200.0), RUN, 0.5, 200.0)
    assert view == View()


def test_panning_ends_at_the_ends_of_the_run() -> None:
    view = View(span=(100.0, 200.0))
    assert views.pan(view, RUN, 0.25).span == (125, 225)
    assert views.pan(view, RUN, -9).span == (0, 100)
    assert views.pan(view, RUN, 99).span == (900, 1000)
    assert views.pan(View(), RUN, 1) == View(), "everything is in sight already"


def test_following_keeps_the_newest_point_at_the_right_end_while_the_run_goes_on() -> None:
    view = views.follow(View(), RUN)
    assert views.sight(view, RUN) == (450, 600)
    assert views.sight(view, RUN._replace(end=610.0)) == (460, 610)
    zoomed = views.zoom(view, RUN, 2, None)
    assert views.sight(zoomed, RUN) == (525, 600)
    assert zoomed.follows
    stopped = views.follow(view, RUN._replace(end=610.0))
    assert views.sight(stopped, RUN._replace(end=700.0)) == (460, 610)
    assert not views.pan(view, RUN, -0.25).follows


def test_what_is_brought_in_stands_in_the_middle_unless_it_is_in_sight() -> None:
    view = View(span=(100.0, 200.0))
    assert views.bring_in(view, RUN, 150.0) == view
    assert views.bring_in(view, RUN, 500.0).span == (450, 550)


def test_smoothing_goes_through_its_steps_and_stops_at_the_ends() -> None:
    view, seen = View(smoothing=0.0), []
    for _ in range(9):
        seen.append(view.smoothing)
        view = views.smooth(view, 1)
    assert seen == [*SMOOTHINGS, 0.99]
    assert views.smooth(View(smoothing=0.3), -1).smoothing == 0
    assert views.smooth(View(smoothing=0.0), -1).smoothing == 0
    assert views.smooth(View(smoothing=0.99), 0).smoothing == 0


def test_another_axis_shows_everything_and_keeps_the_cursor() -> None:
    view = View(span=(1.0, 9.0), follows=True, cursor=views.Moment(5, 2.5))
    assert views.next_axis(view) == View(axis="elapsed", cursor=views.Moment(5, 2.5))
    for _ in range(4):
        view = views.next_axis(view)
    assert view.axis == "step"


ACTIONS = st.lists(
    st.sampled_from(
        [
            lambda view, extent: views.zoom(view, extent, 2, None),
            lambda view, extent: views.zoom(view, extent, 0.5, None),
            lambda view, extent: views.zoom(view, extent, 2, extent.end),
            lambda view, extent: views.pan(view, extent, 0.25),
            lambda view, extent: views.pan(view, extent, -0.25),
            views.follow,
            lambda view, extent: views.fit(view),
        ]
    ),
    max_size=30,
)


@given(ACTIONS, st.floats(1, 1e6), st.floats(0, 1))
def test_whatever_is_pressed_something_of_the_run_is_in_sight(actions, high: float, share: float) -> None:
    extent = Extent(0.0, high, share * high, 4.0)
    view = View()
    for act in actions:
        view = act(view, extent)
        low, end = views.sight(view, extent)
        assert end > low >= 0
        assert low <= high
        if view.follows:
            assert low <= extent.end <= end
    assert views.sight(replace(view, span=None, follows=False), extent) == (0.0, high)


@pytest.mark.parametrize("events", ["main", "all", "none"])
def test_the_events_go_round(events) -> None:
    view = View(events=events)
    for _ in range(3):
        view = views.next_events(view)
    assert view.events == events
