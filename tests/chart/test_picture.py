"""What a reader sees: whole drawings, drawn here in full."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from fbmon.chart import Band, Curve, Plot, Reference, Signs, draw
from fbmon.chart.smooth import Smoothed
from fbmon.metrics import Scale
from fbmon.store.series import Floats, Series
from tests.chart.make import curve, dots, long_curve, picture, series

FULL = """
    |loss            ━ train 1.00  ━ val 2.00|
    |    2┤⠒⠲⢖⣒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠂                |
    |     │    ⠉⠒⠤⢄⡀                         |
    |     │        ⠈⠉⠒⠤⣀⡀                    |
    |    1┤             ⠈⠑⠒⠤⠄                |
    |      0               10              20|
"""


def two_losses() -> Plot:
    falling = curve([2, 1], [0, 10], "train", "train")
    level = curve([2, 2], [0, 10], "val", "validation")
    return Plot("loss", (falling, level), x_range=(0, 20), y_format=".2f")


def test_two_curves_under_a_title_and_a_legend() -> None:
    assert str(draw(two_losses(), 40, 6)) == picture(FULL)


def test_each_run_of_cells_has_its_role_and_the_later_curve_wins_a_shared_cell() -> None:
    rows = draw(two_losses(), 40, 6).rows
    assert rows[0] == (
        ("loss", "title"),
        (" " * 12, ""),
        ("━ train 1.00", "train"),
        ("  ", ""),
        ("━ val 2.00", "validation"),
    )
    assert rows[1] == (("    2┤", "axis"), ("⠒⠲⢖⣒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠂", "validation"), (" " * 16, ""))
    assert rows[2] == ((" " * 5, ""), ("│", "axis"), (" " * 4, ""), ("⠉⠒⠤⢄⡀", "train"), (" " * 25, ""))


def test_few_points_are_joined_by_a_line_one_dot_thick() -> None:
    assert str(draw(Plot("rise", (curve([0, 1, 2, 3]),)), 30, 6)) == picture("""
        |rise                     ━ a 3|
        | │                      ⣀⣀⠤⠤⠒⠒|
        |2┤              ⢀⣀⡠⠤⠔⠒⠊⠉      |
        | │       ⣀⣀⠤⠔⠒⠊⠉⠁             |
        |0┤⣀⠤⠤⠒⠒⠉⠉                     |
        |  0                 2         |
    """)


def test_an_unknown_value_is_a_gap_and_a_point_between_two_gaps_is_a_dot() -> None:
    plot = Plot("gap", (curve([1, 1, 1, 1, None, 2, 2, None, 3]),))
    assert str(draw(plot, 30, 6)) == picture("""
        |gap                      ━ a 3|
        | │                           ⠐|
        |2┤                 ⣀⣀⣀⣀       |
        | │                            |
        |1┤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤                 |
        |  0                5          |
    """)


def test_a_log_axis_with_values_it_cannot_show_a_reference_and_marks() -> None:
    limit = Reference(10, "limit 10", "threshold")
    plot = Plot("norm", (curve([1, -1, 0, 10, 100]),), "log", references=(limit,), marks=np.array([0.0, 3, 3]))
    drawing = draw(plot, 34, 8)
    assert str(drawing) == picture("""
        |norm                       ━ a 100|
        |100┤                           ⢀⠤⠒|
        |log│                        ⣀⠔⠊⠁  |
        | 10┤limit 10 ⠒⠒ ⠒⠒ ⠒⠒ ⠒⠒ ⠒⠒⠉⠒⠒ ⠒⠒ |
        |   │                              |
        |  1┤⠄                             |
        |    ⠇                     ⠇       |
        |    0              2             4|
    """)
    assert drawing.rows[6][1] == ("⠇", "mark")
    assert drawing.rows[3][1] == ("limit 10 ⠒⠒", "threshold")


def test_an_axis_has_two_numbers_however_small_its_chart_and_within_one_decade_too() -> None:
    loss = curve([0.9, 0.5, 0.35], [2, 30, 58])
    assert str(draw(Plot("loss", (loss,), "log", x_unit="span"), 18, 6)) == picture("""
        |loss      ━ a 0.35|
        |log│⠒⠤⡀           |
        |0.6┤  ⠈⠑⠤⡀        |
        |   │     ⠈⠑⠢⢄⣀    |
        |0.4┤          ⠉⠒⠢⠤|
        |     0:15   0:45  |
    """)


def test_marks_to_come_have_their_row_already() -> None:
    plot = Plot("norm", (curve([1, 2]),), marks=np.empty(0))
    later = Plot("norm", (curve([1, 2]),), marks=np.array([1.0]))
    before, after = str(draw(plot, 20, 6)).split("\n"), str(draw(later, 20, 6)).split("\n")
    assert before[4] == " " * 20
    assert after[4] == " " * 19 + "⠸"
    assert before[:4] + before[5:] == after[:4] + after[5:]


def test_without_data_there_are_axes_but_no_invented_numbers() -> None:
    assert str(draw(Plot("loss", (curve([]),), x_range=(0, 100)), 40, 5)) == picture("""
        |loss                               ━ a –|
        |     │                                  |
        |     │                                  |
        |     │                                  |
        |      0               50             100|
    """)


def test_the_legend_gives_way_to_the_title_entry_by_entry() -> None:
    curves = tuple(curve([0.5], label=label, role=label) for label in ("train", "full", "validation"))
    plot = Plot("loss", curves, y_format=".4f")

    def header(width: int) -> str:
        return str(draw(plot, width, 3)).split("\n")[0]

    assert header(60) == "loss      ━ train 0.5000  ━ full 0.5000  ━ validation 0.5000"
    assert header(54) == "loss      train 0.5000  full 0.5000  validation 0.5000"
    assert header(48) == "loss         train 0.5  full 0.5  validation 0.5"
    assert header(40) == "loss             train  full  validation"
    assert header(20) == "loss     train  full"
    assert header(10) == "loss  full"
    assert header(3) == "lo…"


def test_the_legend_keeps_the_marks_and_shortens_its_words() -> None:
    curves = [replace(curve([0.0667], label=label), marker=mark) for label, mark in (("train", ""), ("full", "+"))]
    plot = Plot("loss", (*curves, replace(curve([0.1], label="val"), marker="○")), y_format=".4f")

    def header(width: int) -> str:
        return str(draw(plot, width, 3)).split("\n")[0]

    assert header(49) == "loss  ━ train 0.0667  + full 0.0667  ○ val 0.1000"
    assert header(44) == "loss  ━ train 0.067  + full 0.067  ○ val 0.1"
    assert header(38) == "loss ━ tra 0.067 + ful 0.067 ○ val 0.1"
    assert header(35) == "loss ━ tr 0.067 + fu 0.067 ○ va 0.1"
    assert header(34) == "loss        ━ train  + full  ○ val"


def test_a_large_value_is_shortened_to_a_power_of_ten_only_where_that_is_shorter() -> None:
    curves = tuple(replace(curve([value], label="a"), marker=mark) for value, mark in ((100.0, "△"), (3.1e6, "○")))
    plot = Plot("%", curves, y_format=".6f")
    assert str(draw(plot, 21, 3)).split("\n")[0] == "% △ a 100 ○ a 3.1e+06"


def test_the_legend_shows_the_latest_known_value() -> None:
    plot = Plot("loss", (curve([1, 7, *[None] * 5000]),))
    assert str(draw(plot, 30, 3)).split("\n")[0] == "loss                     ━ a 7"


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1, 1, ["⢣"]),
        (5, 2, ["loss ", "⠉⠒⠢⠤⣀"]),
    ],
)
def test_a_tiny_drawing_is_the_curve_alone(width: int, height: int, expected: list[str]) -> None:
    assert str(draw(Plot("loss", (curve([2, 1]),)), width, height)).split("\n") == expected


def test_an_accuracy_ends_at_one() -> None:
    rows = str(draw(Plot("accuracy", (curve([0.1, 1, 1]),)), 40, 12)).split("\n")
    assert rows[1].startswith("  1.0┤")
    assert rows[1].endswith("⠉⠉⠉")


def test_a_reference_out_of_reach_of_the_data_is_in_sight() -> None:
    goal = Reference(0.9568, "paper 0.9568", "reference")
    rows = str(draw(Plot("accuracy", (curve([0.1, 0.2]),), x_range=(0, 3), references=(goal,)), 40, 8)).split("\n")
    assert rows[1].endswith(" paper 0.9568")


def test_one_spike_among_a_million_points_is_seen() -> None:
    values = np.full(1_000_000, 0.25)
    values[700_001] = 48.0
    lit = dots(draw(Plot("", (long_curve(values),), "log"), 5, 1))
    assert np.flatnonzero(lit[0]).tolist() == [6]  # of the ten columns 0 to 9


SIZES = st.integers(-1, 130)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(st.none() | NUMBERS | st.sampled_from([0.0, 1.0, -1.0, 0.25]), max_size=30)
STEPS = st.floats(0, 1e6)


@st.composite
def curves(pick: st.DrawFn) -> Curve:
    values = pick(VALUES)
    x = sorted(pick(st.lists(STEPS, min_size=len(values), max_size=len(values))))
    return curve(values, x, pick(st.text(max_size=12)), pick(st.sampled_from(["train", "full"])))


PLOTS = st.builds(
    Plot,
    title=st.text(max_size=30),
    curves=st.lists(curves(), max_size=3).map(tuple),
    scale=st.sampled_from(["linear", "log"]),
    x_range=st.none() | st.tuples(STEPS, STEPS),
    y_range=st.none() | st.tuples(NUMBERS, NUMBERS),
    references=st.lists(st.builds(Reference, NUMBERS, st.text(max_size=9), st.just("goal")), max_size=2).map(tuple),
    marks=st.none() | st.lists(STEPS, max_size=9).map(lambda marks: np.array(sorted(marks))),
)


@settings(max_examples=400, deadline=None)
@given(PLOTS, SIZES, st.integers(-1, 40))
def test_every_drawing_has_exactly_the_size_that_was_asked_for(plot: Plot, width: int, height: int) -> None:
    rows = draw(plot, width, height).rows
    assert len(rows) == max(height, 0)
    assert {sum(cell_len(run.text) for run in row) for row in rows} <= {max(width, 0)}
    assert {sum(len(run.text) for run in row) for row in rows} <= {max(width, 0)}


def test_a_character_of_two_cells_by_the_newest_unicode_is_not_drawn_whatever_python_knows() -> None:
    header = str(draw(Plot("⚊漢x", (curve([1], label="☰"),)), 30, 3)).split("\n")[0]
    assert header == "??x                      ━ ? 1"


def test_a_long_run_is_asked_as_few_questions_as_a_short_one() -> None:

    class Watched(Series):
        asked = 0

        def extent(self, start, stop):
            Watched.asked += len(start)
            return super().extent(start, stop)

    counts = []
    for count in (1_000, 100_000):
        Watched.asked, made = 0, Watched()
        for step in range(count):
            made.append(step, 0.0, 1.0 + step % 7)
        draw(Plot("loss", (Curve("a", "train", made.steps, made),)), 40, 12)
        counts.append(Watched.asked)
    assert counts[0] == counts[1]


def test_curves_are_told_apart_by_their_markers_too_and_a_dim_one_lies_behind() -> None:
    raw = Curve("train", "train", *_level(1), dim=True, named=False)
    smooth, val = Curve("train", "train", *_level(1)), Curve("val", "val", *_level(2), marker="○")
    drawing = draw(Plot("loss", (smooth, raw, val), y_format=".1f"), 40, 5)
    assert str(drawing) == picture("""
        |loss              ━ train 1.0  ○ val 2.0|
        |    2┤○⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉○⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉○|
        |     │                                  |
        |    1┤⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀|
        |      0                1               2|
    """)
    assert {run.role for row in drawing.rows for run in row} == {"title", "axis", "train", "val", ""}
    alone = draw(Plot("loss", (raw,)), 40, 5)
    assert "train dim" in {run.role for row in alone.rows for run in row}


def test_few_points_are_marked_one_by_one_and_of_many_some_that_stay_where_they_are() -> None:
    def columns(count: int) -> list[int]:
        line = series([1.0] * count)
        plot = Plot("", (Curve("a", "train", line.steps, line, "○"),), x_range=(0, 1000))
        row = str(draw(plot, 106, 2)).split("\n")[1]
        return [place - 6 for place, cell in enumerate(row) if cell == "○"]

    every_fifth = series([1.0] * 5, x=[0, 250, 500, 750, 1000])
    plot = Plot("", (Curve("a", "train", every_fifth.steps, every_fifth, "○"),))
    assert [place for place, cell in enumerate(str(draw(plot, 41, 1))) if cell == "○"] == [6, 14, 23, 32, 40]
    assert columns(300) == [8]
    assert columns(1001) == [8, 34, 59, 85]
    assert columns(620) == [8, 34, 59]


def test_the_cursor_is_a_line_behind_the_curves_and_the_legend_tells_the_values_there() -> None:
    plot = Plot("loss", (curve([4, 3, None, 1]),), cursor=1.0)
    assert str(draw(plot, 30, 6)) == picture("""
        |loss                     ━ a 3|
        |4┤⠒⠒⠤⠤⣀⣀   │                  |
        | │      ⠉⠉⠒⠂                  |
        |2┤         │                  |
        | │         │                 ⠠|
        |  0                 2         |
    """)
    unknown = Plot("loss", (curve([4, 3, None, 1]),), cursor=2.5)
    assert str(draw(unknown, 30, 6)).startswith("loss                     ━ a –\n")


def test_a_band_is_a_chessboard_between_its_ends() -> None:
    low, high = series([1, 1]), series([3, 2])
    plot = Plot("", (), x_range=(0, 1), y_range=(0, 4), bands=(Band("mean", low.steps, low, high),))
    assert str(draw(plot, 12, 5)) == picture("""
        |            |
        |4┤⢀⢀⢀       |
        | │⢕⢕⢕⢕⢕⢕⢕⢔⢔⢔|
        |0┤⠁⠁⠁⠁⠁⠁⠁⠁⠁⠁|
        |  0   0.5   |
    """)


def test_signs_stand_in_the_row_of_the_marks_and_the_later_hide_the_earlier() -> None:
    best, spike = Signs(np.array([0.0, 20.0]), "★", "best"), Signs(np.array([20.0]), "▲", "spike")
    falling = curve([2, 1], [0, 20])
    plot = Plot("norm", (falling,), marks=np.array([0.0, 1.0, 10.0]), signs=(best, spike))
    drawing = draw(plot, 24, 8)
    assert str(drawing).split("\n")[6] == "    ★⠇        ⠇        ▲"
    assert [run.role for run in drawing.rows[6] if run.text.strip()] == ["best", "mark", "mark", "spike"]
    assert len(draw(plot, 24, 6).rows) == 6
    without = Plot("norm", (falling,), signs=())
    assert str(draw(without, 24, 6)) == str(draw(Plot("norm", (falling,)), 24, 6)), "a small chart has no such row"


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that lives by universal time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("unit", "x_range", "labels"),
    [
        ("span", (0, 100), ["0", "0:30", "1:00", "1:30"]),
        ("span", (3500, 3700), ["59m", "1h00", "1h01"]),
        ("span", (0, 5000), ["0", "30m", "1h00"]),
        ("span", (0, 18_000), ["0", "2h", "4h"]),
        ("span", (0, 3 * 86400), ["0", "1d", "2d", "3d"]),
        ("span", (0, 1), ["0", "0.5", "1.0"]),
        ("clock", (1.7e9, 1.7e9 + 100), ["22:13:30", "22:14:30"]),
        ("clock", (1.7e9, 1.7e9 + 4000), ["22:30", "23:00"]),
        ("clock", (1.7e9, 1.7e9 + 86400), ["15Nov", "12:00"]),
    ],
)
def test_an_axis_of_time_counts_in_minutes_hours_and_days(unit, x_range, labels) -> None:
    last = str(draw(Plot("loss", (), x_range=x_range, x_unit=unit), 40, 6)).split("\n")[-1]
    assert re.sub(r"(\d+) (\w{3})", r"\1\2", last).split() == labels


def _level(value: float) -> tuple[Floats, Series]:
    made = series([value] * 3)
    return made.steps, made


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("value", [1.0, 0.2, 0.1, 1000.0, 3e-5])
def test_the_last_bits_of_a_constant_move_no_dot_and_no_label(scale: Scale, value: float) -> None:
    """They are those of a processor: of its logarithm, of its matrix products."""
    last_bits = 1 + 2.0**-52 * np.random.default_rng(0).integers(-3, 4, 100)
    noisy = series((value * last_bits).tolist())

    def drawn(curve: Series, level: float, height: int) -> str:
        plot = Plot("", (Curve("", "", curve.steps, curve),), scale, references=(Reference(level, "", ""),))
        return str(draw(plot, 40, height))

    for height in range(1, 20):
        expected = drawn(series([value] * 100), value, height)
        assert drawn(noisy, value, height) == expected
        assert drawn(noisy, value * (1 + 2.0**-52), height) == expected
        assert drawn(Smoothed(noisy, 0.8).update(), value, height) == expected
