"""A chart as ASCII and as SVG."""

from xml.etree import ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fbmon.chart import Band, Plot, Reference, draw
from fbmon.chart.ascii import ascii_only
from fbmon.chart.svg import svg
from tests.chart.make import curve, long_curve, picture, series

SVG = "{http://www.w3.org/2000/svg}"


def test_a_drawing_in_ascii_has_its_slopes_and_keeps_its_places() -> None:
    plot = Plot("loss", (curve([2, 1, 2], [0, 10, 20], "train"),), references=(Reference(1.5, "limit", "goal"),))
    assert ascii_only(str(draw(plot, 40, 6))) == picture(r"""
        |loss                           = train 2|
        |    2+-\\_                          _//-|
        |     |__ _|-.____ __ __ __ __ __/.|'__ _|
        |     |        ''-.__      __.-''   limit|
        |    1+             '\-..-/'             |
        |      0               10              20|
    """)


@given(st.text())
def test_ascii_is_ascii_and_as_long(text: str) -> None:
    assert ascii_only(text).isascii()
    assert len(ascii_only(text)) == len(text)


def test_an_svg_has_a_stroke_for_each_curve_in_its_colour_and_foreign_text_as_text() -> None:
    low, high = series([1, 1, 1]), series([2, 2, 2])
    plot = Plot(
        "<script>\x1b",
        (curve([1, 2, None, 2, 1], label='&"', role="train"), curve([3] * 5, role="val")),
        bands=(Band("band", low.steps, low, high),),
        references=(Reference(1.5, "<b>", "goal"),),
    )
    root = ElementTree.fromstring(svg([plot], {"train": "#123456", "val": "#654321", "band": "#abcdef"}))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"<script>\ufffd", "<b>", '&"  1', "a  3"} <= set(texts)
    paths = {path.get("stroke"): path.get("d") or "" for path in root.iter(f"{SVG}path") if path.get("fill")}
    assert paths["#123456"].count("M") == 2, "the gap is a gap"
    assert paths["#654321"].count("M") == 1
    assert any(path.get("fill") == "#abcdef" for path in root.iter(f"{SVG}path"))


def test_one_spike_among_a_million_points_is_in_the_svg() -> None:
    made = series([])
    values = np.full(1_000_000, 0.25)
    values[700_001] = 48.0
    made.extend(np.arange(1e6), np.zeros(len(values)), values)
    one = curve([])
    plot = Plot("", (type(one)("a", "train", made.steps, made),), y_range=(0, 48))
    path = next(stroke.get("d") or "" for stroke in strokes(svg([plot], {"train": "#1"})))
    assert path.count(" 30.0L") == 1, "at the upper end, 30 pixels from the top"
    assert path.count("L") < 4 * 460


def test_a_long_gap_in_a_long_curve_and_in_its_band_is_a_gap() -> None:
    values = np.arange(1.0, 10_001)
    values[4000:6000] = np.nan
    made = long_curve(values)
    band = Band("train dim", made.x, made.series, made.series)
    area, line = (stroke.get("d") or "" for stroke in strokes(svg([Plot("", (made,), bands=(band,))])))
    assert (line.count("M"), area.count("M"), area.count("z")) == (2, 2, 2)


def test_no_two_of_35_curves_look_alike_and_a_curve_without_a_value_keeps_its_place() -> None:
    plot = Plot("", tuple(curve([place]) if place != 3 else curve([]) for place in range(35)))
    drawn = strokes(svg([plot]))
    assert len({(one.get("stroke"), one.get("stroke-dasharray")) for one in drawn}) == 35
    assert [one.get("d") for one in drawn][3] == ""
    assert "a  –" in svg([plot])


def strokes(text: str) -> list[ElementTree.Element]:
    """Curves and areas, as they are drawn."""
    paths = ElementTree.fromstring(text).iter(f"{SVG}path")
    return [path for path in paths if path.get("stroke-width") == "1.5" or path.get("fill-opacity")]


def test_the_parts_of_a_line_are_apart_in_ascii_too_and_a_sign_stays_another() -> None:
    assert ascii_only("step 3 · best 0.98") == "step 3 | best 0.98"
    assert ascii_only("· validation") == ", validation"
