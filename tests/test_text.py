"""Foreign text on its way to a terminal."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbmon.text import clean, clean_lines, duration, percent

STEERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
STEERING_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
HIDING = set("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufe0f\ufeff\U000e0041")


def steers(character: str) -> bool:
    return (
        character in HIDING
        or unicodedata.category(character) in STEERING_CATEGORIES
        or unicodedata.bidirectional(character) in STEERING
    )


def test_no_character_that_steers_or_hides_is_let_through() -> None:
    every = map(chr, range(0x110000))
    assert [hex(ord(character)) for character in every if steers(character) and clean(character) != "\ufffd"] == []


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=()), max_size=40), st.integers(1, 30))
def test_clean_text_is_short_steers_nothing_and_cleaning_it_again_changes_nothing(text: str, limit: int) -> None:
    harmless = clean(text, limit)
    assert len(harmless) <= limit
    assert clean(harmless, limit) == harmless
    assert not any(map(steers, harmless))
    assert len(clean(text)) == len(text)


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=200))
def test_harmless_text_passes_unchanged(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("one\ntwo\tthree", "one\ufffdtwo\ufffdthree"),
        ("evil\u202etxt.exe", "evil\ufffdtxt.exe"),
        ("é ü 数 ×", "é ü 数 ×"),
        ("x" * 201, "x" * 199 + "…"),
        ("x" * 200, "x" * 200),
    ],
)
def test_steering_characters_are_replaced_and_long_text_is_cut(foreign: str, shown: str) -> None:
    assert clean(foreign) == shown


def test_lines_stay_lines_and_each_is_cleaned() -> None:
    assert clean_lines("a\x1b[2J\nb\r\n\nlonger", limit=5) == "a\ufffd[2J\nb\ufffd\n\nlong…"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (-1.0, "–"),
        (0.0, "0.0 s"),
        (9.44, "9.4 s"),
        (10.0, "0:10"),
        (59.6, "1:00"),
        (127.0, "2:07"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (3727.0, "1:02:07"),
        (71 * 3600 + 59 * 60 + 59, "71:59:59"),
        (72 * 3600, "3 d 00:00"),
        (76 * 3600 + 5 * 60 + 59, "3 d 04:05"),
    ],
)
def test_a_time_span_reads_as_people_write_it(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_percentage_is_none_or_all_only_where_it_is() -> None:
    assert [percent(share) for share in (0.0, 0.001, 0.43, 2999 / 3000, 1.0)] == ["0%", "1%", "43%", "99%", "100%"]
