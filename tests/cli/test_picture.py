"""Drawings on standard output."""

import pytest

from fbmon.chart import StyledText
from fbmon.cli.picture import print_legend


@pytest.mark.parametrize(
    ("asked", "terminal", "printed"),
    [
        ("", "xterm-256color", "  ○ sgd\n"),
        ("", "linux", "  o sgd\n"),
        ("0", "linux", "  ○ sgd\n"),
        ("1", "xterm-256color", "  o sgd\n"),
    ],
)
def test_a_drawing_is_in_ascii_where_the_screen_is(
    asked: str, terminal: str, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda _: "UTF-8")
    monkeypatch.setenv("FBMON_ASCII", asked)
    monkeypatch.setenv("TERM", terminal)
    print_legend([StyledText("○ sgd", "run_0")])
    assert capsys.readouterr().out == printed
